"""The HTTP interface to crons."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.db.models import F
from django.http import HttpResponse
from ninja import Router
from ninja.errors import HttpError

from runs.api.http.idempotency import IdempotencyKey, once
from runs.api.schemas.crons import CronCreate, CronFilter, CronSearch, CronUpdate, cron_json
from runs.crons import editing
from runs.encoding import encode
from runs.identity.auth_file.named import ask_about_assistants, ask_about_thread
from runs.models import Cron
from runs.models.cron import CronQuerySet
from runs.process.current import current
from runs.process.wakeups import CRONS
from threads.api.http import JSONBody, Request
from threads.api.pages import page_headers, rows_of_page
from threads.db.conditions import containing
from threads.db.database import in_database
from threads.models.querysets import Principal

router = Router(tags=["Crons"])

CronBody = Annotated[CronCreate, JSONBody(...)]


@router.post("/runs/crons", summary="Create a cron whose runs each get a thread of their own")
async def create_cron(request: Request, body: CronBody, key: IdempotencyKey) -> dict[str, Any]:
    return await _create(request, body, key, thread_id=None)


@router.post("/threads/{thread_id}/runs/crons", summary="Create a cron on a thread")
async def create_thread_cron(
    request: Request, thread_id: UUID, body: CronBody, key: IdempotencyKey
) -> dict[str, Any]:
    return await _create(request, body, key, thread_id=thread_id)


async def _create(
    request: Request, body: CronCreate, key: str | None, *, thread_id: UUID | None
) -> dict[str, Any]:
    # Reports an invalid run before anything is looked up.
    body.request(stateless=thread_id is None)
    principal = await ask_about_assistants(request.auth, [body.assistant_id])
    if thread_id is not None:
        principal = await ask_about_thread(principal, thread_id)
    cron = await in_database(
        editing.create_cron,
        body.payload(),
        body.columns(),
        thread_id=thread_id,
        principal=principal,
        once=once(request, key),
    )
    current().wakeups.ring(CRONS)
    return cron_json(cron)


@router.post("/runs/crons/search", summary="List crons")
async def search_crons(request: Request, body: Annotated[CronSearch, JSONBody(...)]) -> HttpResponse:
    """`X-Pagination-Next` is the offset of the next page, if there is one."""
    principal = await ask_about_thread(request.auth, body.thread_id)
    found, more = await in_database(_page, body, principal=principal)
    headers = page_headers(offset=body.offset, shown=len(found), more=more)
    shown = [cron_json(cron, body.select) for cron in found]
    return HttpResponse(encode(shown), content_type="application/json", headers=headers)


@router.post("/runs/crons/count", summary="Count crons", response=int)
async def count_crons(request: Request, body: Annotated[CronFilter, JSONBody(...)]) -> int:
    principal = await ask_about_thread(request.auth, body.thread_id)
    return await in_database(_count, body, principal=principal)


@router.get("/runs/crons/{cron_id}", summary="Get a cron")
async def get_cron(request: Request, cron_id: UUID) -> dict[str, Any]:
    return cron_json(await in_database(editing.get_cron, cron_id, principal=request.auth))


@router.patch("/runs/crons/{cron_id}", summary="Change a cron")
async def update_cron(
    request: Request, cron_id: UUID, body: Annotated[CronUpdate, JSONBody(...)]
) -> dict[str, Any]:
    if not body.model_fields_set:
        raise HttpError(400, "Request body cannot be empty")
    cron = await in_database(
        editing.update_cron, cron_id, body.payload(), body.columns(), principal=request.auth
    )
    current().wakeups.ring(CRONS)
    return cron_json(cron)


@router.delete("/runs/crons/{cron_id}", summary="Delete a cron", response={204: None})
async def delete_cron(request: Request, cron_id: UUID) -> HttpResponse:
    await in_database(editing.delete_cron, cron_id, principal=request.auth)
    return HttpResponse(status=204)


def _found(wanted: CronFilter, *, principal: Principal) -> CronQuerySet:
    crons = Cron.objects.for_principal(principal)
    for column, value in (
        ("assistant", wanted.assistant_id),
        ("thread", wanted.thread_id),
        ("enabled", wanted.enabled),
    ):
        if value is not None:
            crons = crons.filter(**{column: value})
    return crons.filter(containing("metadata", wanted.metadata)) if wanted.metadata else crons


def _count(wanted: CronFilter, *, principal: Principal) -> int:
    return _found(wanted, principal=principal).count()


def _page(search: CronSearch, *, principal: Principal) -> tuple[list[Cron], bool]:
    """The crons of the page, and whether there are more.

    Crons without the sorted value come last.
    """
    columns = {"cron_id": "id", "assistant_id": "assistant", "thread_id": "thread"}
    column = F(columns.get(search.sort_by, search.sort_by))
    descending = search.sort_order == "desc"
    order = column.desc(nulls_last=True) if descending else column.asc(nulls_last=True)
    crons = _found(search, principal=principal).order_by(order, "-id" if descending else "id")
    return rows_of_page(crons, offset=search.offset, limit=search.limit, large=["payload"])
