"""The HTTP interface to assistants."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router

from runs.api.schemas.assistants import (
    AssistantCount,
    AssistantCreate,
    AssistantPatch,
    AssistantSearch,
    LatestVersion,
    VersionSearch,
    Xray,
)
from runs.assistants import drawing, find_assistant, search, writing
from runs.encoding import encode
from runs.identity.auth_file.named import ask_about_assistants
from runs.models import Assistant
from runs.retention.assistants import delete_assistant
from runs.serializers import assistant_json, version_json
from runs.states.openings import asking
from threads.api.http import JSONBody, Request
from threads.api.pages import page_headers
from threads.db.database import in_database
from threads.models.querysets import Principal

router = Router(tags=["Assistants"])

Recurse = Annotated[bool, Query(False, description="Whether subgraphs of subgraphs are shown too.")]


@router.post("/assistants", summary="Create an assistant")
async def create_assistant(
    request: Request, body: Annotated[AssistantCreate, JSONBody(...)]
) -> dict[str, Any]:
    assistant, new = await in_database(
        writing.create_assistant,
        body.given(),
        assistant_id=body.assistant_id,
        if_exists=body.if_exists,
        principal=request.auth,
    )
    if not new:
        # Showing an assistant that exists already is reading it.
        await ask_about_assistants(request.auth, [str(assistant.id)])
    return assistant_json(assistant)


@router.post("/assistants/search", summary="List assistants")
async def search_assistants(
    request: Request, body: Annotated[AssistantSearch, JSONBody(...)]
) -> HttpResponse:
    """`X-Pagination-Next` is the offset of the next page, if there is one."""
    found, more = await in_database(
        search.page,
        limit=body.limit,
        offset=body.offset,
        sort_by=body.sort_by,
        sort_order=body.sort_order,
        principal=request.auth,
        **body.conditions(),
    )
    headers = page_headers(offset=body.offset, shown=len(found), more=more)
    shown = [assistant_json(assistant, body.select) for assistant in found]
    return HttpResponse(encode(shown), content_type="application/json", headers=headers)


@router.post("/assistants/count", summary="Count assistants")
async def count_assistants(request: Request, body: Annotated[AssistantCount, JSONBody(...)]) -> int:
    return await in_database(search.count, principal=request.auth, **body.conditions())


@router.get("/assistants/{assistant_id}", summary="Get an assistant")
async def get_assistant(request: Request, assistant_id: UUID) -> dict[str, Any]:
    return assistant_json(await in_database(search.get_assistant, assistant_id, principal=request.auth))


@router.patch("/assistants/{assistant_id}", summary="Change an assistant, which creates a new version of it")
async def change_assistant(
    request: Request, assistant_id: UUID, body: Annotated[AssistantPatch, JSONBody(...)]
) -> dict[str, Any]:
    assistant = await in_database(
        writing.change_assistant, assistant_id, body.given(), principal=request.auth
    )
    return assistant_json(assistant)


@router.delete("/assistants/{assistant_id}", summary="Delete an assistant", response={204: None})
async def remove_assistant(
    request: Request, assistant_id: UUID, delete_threads: bool = False
) -> HttpResponse:
    """Cancels its runs in flight.

    `delete_threads` also deletes the threads on which it ran last.
    """
    await delete_assistant(assistant_id, delete_threads=delete_threads, principal=request.auth)
    return HttpResponse(status=204)


@router.post("/assistants/{assistant_id}/versions", summary="List an assistant's versions, newest first")
async def list_versions(
    request: Request, assistant_id: UUID, body: Annotated[VersionSearch, JSONBody(...)]
) -> list[dict[str, Any]]:
    found = await in_database(
        search.versions,
        assistant_id,
        metadata=body.metadata,
        limit=body.limit,
        offset=body.offset,
        principal=request.auth,
    )
    return [version_json(version) for version in found]


@router.post("/assistants/{assistant_id}/latest", summary="Make a version of an assistant the latest one")
async def set_latest_version(
    request: Request, assistant_id: UUID, body: Annotated[LatestVersion, JSONBody(...)]
) -> dict[str, Any]:
    assistant = await in_database(writing.set_latest, assistant_id, body.version, principal=request.auth)
    return assistant_json(assistant)


@router.get("/assistants/{assistant_id}/graph", summary="Show the nodes and edges of an assistant's graph")
async def get_graph(
    request: Request, assistant_id: str, xray: Annotated[Xray, Query(False)]
) -> dict[str, Any]:
    """The path may name a graph instead.

    `xray` expands subgraphs: all of them, or to a number of levels.
    """
    assistant = await in_database(_named, assistant_id, principal=request.auth)
    return await drawing.drawn(assistant, xray=xray, user=asking(request.auth))


def _named(name: str, *, principal: Principal) -> Assistant:
    """The assistant with this id, or a graph's system assistant.

    Raises NotFound if none is visible.
    """
    found = find_assistant(name, principal=principal)
    return search.get_assistant(found.id, principal=principal)


@router.get("/assistants/{assistant_id}/schemas", summary="Get the JSON schemas of an assistant's graph")
async def get_schemas(request: Request, assistant_id: UUID) -> dict[str, Any]:
    assistant = await in_database(search.get_assistant, assistant_id, principal=request.auth)
    return await drawing.schemas(assistant, user=asking(request.auth))


@router.get("/assistants/{assistant_id}/subgraphs", summary="Get the schemas of an assistant's subgraphs")
async def get_subgraphs(request: Request, assistant_id: UUID, recurse: Recurse) -> dict[str, dict[str, Any]]:
    """The keys are namespaces; a subgraph of a subgraph is `parent|child`."""
    assistant = await in_database(search.get_assistant, assistant_id, principal=request.auth)
    return await drawing.subgraphs(assistant, namespace=None, recurse=recurse, user=asking(request.auth))


@router.get("/assistants/{assistant_id}/subgraphs/{namespace}", summary="Get the schemas of one subgraph")
async def get_subgraph(
    request: Request, assistant_id: UUID, namespace: str, recurse: Recurse
) -> dict[str, dict[str, Any]]:
    assistant = await in_database(search.get_assistant, assistant_id, principal=request.auth)
    return await drawing.subgraphs(assistant, namespace=namespace, recurse=recurse, user=asking(request.auth))
