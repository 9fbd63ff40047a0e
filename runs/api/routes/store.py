"""The HTTP interface to the store (wire protocol §7)."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpResponse
from langgraph.store.base import NOT_PROVIDED, Item, SearchItem, SearchOp
from ninja import Query, Router
from ninja.errors import HttpError
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from runs.encoding import encode
from runs.graphs.stores import store_of
from runs.requests.bodies import Limit, Offset
from threads.api.http import JSONBody, Request, Schema
from threads.api.pages import page_headers, page_limit
from threads.api.schemas import Wanted
from threads.api.wire import timestamp
from threads.db.values.text import is_text
from threads.store.embedding import LONGEST_PATH, MOST_PATHS, check_paths

router = Router(tags=["Store"])


#: Maximum labels of a namespace.
MOST_LABELS = 100


def _labels(value: list[str]) -> list[str]:
    for label in value:
        check_label(label)
    return value


def check_label(label: str) -> None:
    """Raises the reference server's 422 for an invalid label of a namespace."""
    if not label or "." in label:
        raise HttpError(422, f"Namespace label {label!r} must be a non-empty string without periods")
    if not is_text(label):
        raise HttpError(422, "Namespace labels have no NUL characters and no half surrogates.")


def _index(value: Any) -> Any:
    return value if value is False else list(check_paths(value))


Labels = Annotated[list[str], Field(max_length=MOST_LABELS), AfterValidator(_labels)]
#: Paths to embed, or false. Not a union, because pydantic's errors would name its members.
Index = Annotated[
    Any,
    BeforeValidator(_index),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": False},
                {
                    "type": "array",
                    "items": {"type": "string", "maxLength": LONGEST_PATH},
                    "maxItems": MOST_PATHS,
                },
            ]
        }
    ),
]


class ItemPut(Schema):
    """An item to store. It replaces an existing item with the same key."""

    namespace: Labels = Field(examples=[["users", "ada", "facts"]])
    key: str = Field(examples=["favourite-colour"])
    value: dict[str, Any] = Field(examples=[{"text": "Ada likes green."}])
    index: Index | None = Field(
        None, description="Paths of the texts to embed instead of the configured ones, or false for none."
    )
    ttl: float | None = Field(
        None, description="How many minutes to keep the item; by default as configured for the site."
    )


class ItemDelete(Schema):
    namespace: Labels
    key: str


class ItemSearch(Schema):
    """Which items to list."""

    namespace_prefix: Labels = Field([], description="Only namespaces with this prefix; by default all.")
    filter: Wanted = Field(
        {}, description="Values of top-level keys, or comparisons: $eq, $ne, $gt, $gte, $lt, $lte."
    )
    query: str | None = Field(
        None, description="A text to rank the items by. Ignored unless an embedding is configured."
    )
    limit: Limit = 10
    offset: Offset = 0
    refresh_ttl: bool | None = None


class NamespaceSearch(Schema):
    """Which namespaces to list."""

    prefix: Labels = Field([], description="Only namespaces with this prefix; `*` matches any label.")
    suffix: Labels = Field([], description="Only namespaces with this suffix; `*` matches any label.")
    max_depth: int | None = Field(
        None, ge=1, description="Maximum labels of each result; longer namespaces are cut."
    )
    limit: Limit = 100
    offset: Offset = 0


@router.put("/store/items", summary="Put an item", response={204: None})
async def put_item(request: Request, body: Annotated[ItemPut, JSONBody(...)]) -> HttpResponse:
    ttl = NOT_PROVIDED if body.ttl is None else body.ttl
    await store_of(request.auth).aput(tuple(body.namespace), body.key, body.value, index=body.index, ttl=ttl)
    return HttpResponse(status=204)


@router.get("/store/items", summary="Get an item, or null")
async def get_item(
    request: Request,
    key: str | None = None,
    namespace: Annotated[str, Query(description="The labels, separated by periods.")] = "",
    refresh_ttl: bool | None = None,
) -> HttpResponse:
    if not key:
        return _answer({"error": "Key is required"}, status=400)
    if not namespace:
        raise HttpError(400, "Namespace cannot be empty.")
    labels = tuple(_labels(namespace.split(".")))
    item = await store_of(request.auth).aget(labels, key, refresh_ttl=refresh_ttl)
    return _answer(None if item is None else item_json(item))


@router.delete("/store/items", summary="Delete an item", response={204: None})
async def delete_item(request: Request, body: Annotated[ItemDelete, JSONBody(...)]) -> HttpResponse:
    """The status is 204 also if the item does not exist."""
    await store_of(request.auth).adelete(tuple(body.namespace), body.key)
    return HttpResponse(status=204)


@router.post("/store/items/search", summary="Search items")
async def search_items(request: Request, body: Annotated[ItemSearch, JSONBody(...)]) -> HttpResponse:
    """Sorted by the last update, newest first.

    A query with a configured embedding sorts by similarity. A page has at most `RUNS["PAGE_LIMIT"]`
    bytes; `next_offset`, and the header `X-Pagination-Next`, say where the next one begins, if there may be one.
    """
    store = store_of(request.auth)
    refreshes = store.refresh_on_read if body.refresh_ttl is None else body.refresh_ttl
    op = SearchOp(
        tuple(body.namespace_prefix),
        filter=body.filter or None,
        limit=body.limit,
        offset=body.offset,
        query=body.query,
        refresh_ttl=refreshes,
    )
    found, more = await store.page(op, most=page_limit())
    answer: dict[str, Any] = {"items": [item_json(item) for item in found]}
    if more:
        # The stock clients return the body alone.
        answer["next_offset"] = body.offset + len(found)
    headers = page_headers(offset=body.offset, shown=len(found), more=more)
    return _answer(answer, headers=headers)


@router.post("/store/namespaces", summary="List namespaces")
async def list_namespaces(request: Request, body: Annotated[NamespaceSearch, JSONBody(...)]) -> HttpResponse:
    found = await store_of(request.auth).alist_namespaces(
        prefix=tuple(body.prefix),
        suffix=tuple(body.suffix),
        max_depth=body.max_depth,
        limit=body.limit,
        offset=body.offset,
    )
    return _answer({"namespaces": found})


def item_json(item: Item) -> dict[str, Any]:
    """An item as clients see it. A search result also has a score, which may be null."""
    shown: dict[str, Any] = {
        "namespace": list(item.namespace),
        "key": item.key,
        "value": item.value,
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
    }
    return shown | {"score": item.score} if isinstance(item, SearchItem) else shown


def _answer(data: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(encode(data), status=status, content_type="application/json", headers=headers)
