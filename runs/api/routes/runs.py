"""The HTTP interface to runs: create, list, get, delete, cancel."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router

from runs.api.http.idempotency import IdempotencyKey, once
from runs.api.responses.creation import admit
from runs.api.responses.locations import contents, locations
from runs.encoding import encode
from runs.exceptions import InvalidRequest, NotFound
from runs.identity.auth_file.named import ask_about_assistants
from runs.lifecycle.batches import cancel_runs, create_runs, in_flight_of
from runs.lifecycle.cancellation import cancel_run, delete_run
from runs.models import Run, RunStatus
from runs.process.current import current
from runs.protocols.sse import listed_values
from runs.requests.bodies import Limit, Offset, RunBatch, RunBody, RunCreate, RunsCancel
from runs.serializers import RUN_FIELDS, run_columns, run_json
from threads.api.http import JSONBody, Request
from threads.api.pages import page_headers, rows_of_page
from threads.api.routes import NAMED, find_thread
from threads.api.wire import timestamp
from threads.db.database import in_database
from threads.db.time_limits import time_limit
from threads.models.querysets import Principal

router = Router(tags=["Runs"])
stateless = Router(tags=["Stateless runs"])

Status = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
Action = Literal["interrupt", "rollback"]
Select = Annotated[list[str], Query([], description="Only these fields: repeated, with commas, or JSON.")]


def find_run(
    run_id: UUID, *, thread_id: UUID | None, principal: Principal, columns: list[str] | None = None
) -> Run | None:
    """The principal's run with this id; of this thread, if one is given."""
    runs = Run.objects.for_principal(principal).filter(id=run_id)
    if thread_id is not None:
        runs = runs.filter(thread=thread_id)
    return runs.only(*(columns or run_columns())).first()


def list_of_runs(
    thread_id: UUID, *, principal: Principal, status: str | None, select: list[str], limit: int, offset: int
) -> tuple[list[dict[str, Any]], bool]:
    """One page of runs, and whether there are more."""
    thread = find_thread(thread_id, principal=principal, columns=NAMED)
    runs = Run.objects.for_principal(principal).filter(thread=thread)
    if status is not None:
        runs = runs.filter(status=status)
    columns = run_columns(select)
    ordered = runs.order_by("-created_at", "-id")
    found, more = rows_of_page(ordered, offset=offset, limit=limit, large=["kwargs"], columns=columns)
    return [run_json(run, select) for run in found], more


@router.post("/threads/{thread_id}/runs", summary="Create a run in the background")
async def create_run(request: Request, thread_id: UUID, body: RunBody, key: IdempotencyKey) -> HttpResponse:
    return await _create(request, body, key, thread_id=thread_id)


@stateless.post("/runs", summary="Create a run on a thread of its own")
async def create_stateless_run(request: Request, body: RunBody, key: IdempotencyKey) -> HttpResponse:
    return await _create(request, body, key, thread_id=None)


@stateless.post("/runs/batch", summary="Create several runs, each on a thread of its own")
async def create_batch(
    request: Request, body: Annotated[RunBatch, JSONBody(...)], key: IdempotencyKey
) -> HttpResponse:
    """If one run is refused, none is created."""
    wanted = [each.request(stateless=True) for each in body]
    principal = await ask_about_assistants(request.auth, [each.assistant_id for each in wanted])
    runs = await create_runs(wanted, principal=principal, once=once(request, key))
    return HttpResponse(encode([accepted(run) for run in runs]), content_type="application/json")


@stateless.post("/runs/cancel", summary="Cancel several runs", response={204: None})
async def cancel_several(
    request: Request, body: Annotated[RunsCancel, JSONBody(...)], action: Action = "interrupt"
) -> HttpResponse:
    """Cancels the named runs of a thread, or all runs in a status, at most 10,000 in one request.

    404 if none of them can be cancelled.
    """
    statuses = body.statuses()
    run_ids = body.run_ids or []
    if statuses is not None:
        with time_limit():
            run_ids = await in_database(in_flight_of, request.auth, statuses)
    await cancel_runs(run_ids, thread_id=body.thread_id, principal=request.auth, action=action)
    return HttpResponse(status=204)


async def _create(
    request: Request, body: RunCreate, key: str | None, *, thread_id: UUID | None
) -> HttpResponse:
    run = await admit(body, thread_id=thread_id, principal=request.auth, once=once(request, key))
    headers = contents(request, run.id, thread_id)
    return HttpResponse(encode(accepted(run)), content_type="application/json", headers=headers)


def accepted(run: Run) -> dict[str, Any]:
    """A run as it was at its acceptance, on which clients rely; it may be executing or over."""
    return run_json(run) | {"status": RunStatus.PENDING, "updated_at": timestamp(run.created_at)}


@router.get("/threads/{thread_id}/runs", summary="List a thread's runs, newest first")
async def list_runs(
    request: Request,
    thread_id: UUID,
    select: Select,
    limit: Limit = 10,
    offset: Offset = 0,
    status: Status | None = None,
) -> HttpResponse:
    """`X-Pagination-Next` is the offset of the next page, if there is one."""
    wanted = listed_values(select)
    if unknown := [name for name in wanted if name not in RUN_FIELDS]:
        raise InvalidRequest(f"select: {unknown[0]!r} is no field of a run; it has {', '.join(RUN_FIELDS)}.")
    found, more = await in_database(
        list_of_runs,
        thread_id,
        principal=request.auth,
        status=status,
        select=wanted,
        limit=limit,
        offset=offset,
    )
    headers = page_headers(offset=offset, shown=len(found), more=more)
    return HttpResponse(encode(found), content_type="application/json", headers=headers)


@router.get("/threads/{thread_id}/runs/{run_id}", summary="Get a run")
async def get_run(request: Request, thread_id: UUID, run_id: UUID) -> dict[str, Any]:
    run = await in_database(find_run, run_id, thread_id=thread_id, principal=request.auth)
    if run is None:
        raise NotFound
    return run_json(run)


@router.delete("/threads/{thread_id}/runs/{run_id}", summary="Delete a run", response={204: None})
async def remove_run(request: Request, thread_id: UUID, run_id: UUID) -> HttpResponse:
    await delete_run(run_id, thread_id=thread_id, principal=request.auth)
    return HttpResponse(status=204)


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel", summary="Cancel a run", response={202: None, 200: dict}
)
async def cancel(
    request: Request,
    thread_id: UUID,
    run_id: UUID,
    wait: bool = False,
    action: Action = "interrupt",
) -> HttpResponse:
    """With `wait`, the response is sent when the run has stopped; otherwise at once."""
    await cancel_run(run_id, thread_id=thread_id, principal=request.auth, action=action)
    if not wait:
        return HttpResponse(status=202)
    await current().hub.settled(run_id)
    return HttpResponse(
        b"{}", content_type="application/json", headers=locations(request, run_id, thread_id, "join")
    )
