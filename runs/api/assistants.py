"""The HTTP interface to assistants."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from ninja import Router

from runs.api.schemas import AssistantSearch
from runs.api.wire import assistant_json
from runs.exceptions import NotFound
from runs.models import Assistant
from runs.serialization import encode
from threads.api.filters import containing
from threads.api.http import JSONBody, Request
from threads.database import in_database
from threads.querysets import Principal

router = Router(tags=["Assistants"])


@router.post("/assistants/search", summary="List assistants")
async def search_assistants(
    request: Request, body: Annotated[AssistantSearch, JSONBody(...)]
) -> HttpResponse:
    """`X-Pagination-Next` is the next page's offset, if there is one."""
    found = await in_database(_page, body, principal=request.auth)
    more = len(found) > body.limit
    headers = {"X-Pagination-Total": str(body.offset + len(found))}
    if more:
        headers["X-Pagination-Next"] = str(body.offset + body.limit)
    shown = [assistant_json(assistant, body.select) for assistant in found[: body.limit]]
    return HttpResponse(encode(shown), content_type="application/json", headers=headers)


@router.get("/assistants/{assistant_id}", summary="Get an assistant")
async def get_assistant(request: Request, assistant_id: UUID) -> dict[str, Any]:
    assistant = await in_database(_find, assistant_id, principal=request.auth)
    if assistant is None:
        raise NotFound
    return assistant_json(assistant)


def _find(assistant_id: UUID, *, principal: Principal) -> Assistant | None:
    return Assistant.objects.for_principal(principal).filter(id=assistant_id).first()


def _page(search: AssistantSearch, *, principal: Principal) -> list[Assistant]:
    """The assistants of the page, and one more if there are more."""
    assistants: QuerySet[Assistant] = Assistant.objects.for_principal(principal)
    if search.graph_id is not None:
        assistants = assistants.filter(graph_id=search.graph_id)
    if search.name is not None:
        assistants = assistants.filter(name__icontains=search.name)
    if search.metadata:
        assistants = assistants.filter(containing("metadata", search.metadata))
    column = "id" if search.sort_by == "assistant_id" else search.sort_by
    sign = "-" if search.sort_order == "desc" else ""
    return list(
        assistants.order_by(sign + column, sign + "id")[search.offset : search.offset + search.limit + 1]
    )
