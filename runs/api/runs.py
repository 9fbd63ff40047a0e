"""The HTTP interface to runs: create, list, get, delete, cancel."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router

from runs.api.creation import admit
from runs.api.paths import contents, locations
from runs.api.schemas import Limit, Offset, RunBody, RunCreate
from runs.api.wire import run_columns, run_json
from runs.cancellation import cancel_run, delete_run, settled
from runs.exceptions import NotFound
from runs.models import Run, RunStatus
from runs.serialization import encode
from threads.api.http import Request
from threads.api.routes import find_thread
from threads.database import in_database
from threads.querysets import Principal

router = Router(tags=["Runs"])
stateless = Router(tags=["Stateless runs"])

Status = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
Shown = Literal[
    "run_id",
    "thread_id",
    "assistant_id",
    "metadata",
    "status",
    "kwargs",
    "multitask_strategy",
    "created_at",
    "updated_at",
]
Select = Annotated[list[Shown], Query([], description="Only these fields, each one a parameter.")]


def find_run(
    run_id: UUID, *, thread_id: UUID | None, principal: Principal, columns: list[str] | None = None
) -> Run | None:
    """The principal's run, and only if it is one of the thread's, if that is given."""
    runs = Run.objects.for_principal(principal).filter(id=run_id)
    if thread_id is not None:
        runs = runs.filter(thread=thread_id)
    return runs.only(*(columns or run_columns())).first()


def list_of_runs(
    thread_id: UUID, *, principal: Principal, status: str | None, select: list[str], limit: int, offset: int
) -> list[dict[str, Any]]:
    thread = find_thread(thread_id, principal=principal)
    runs = Run.objects.for_principal(principal).filter(thread=thread)
    if status is not None:
        runs = runs.filter(status=status)
    page = runs.order_by("-created_at", "-id").only(*run_columns(select))[offset : offset + limit]
    return [run_json(run, select) for run in page]


@router.post("/threads/{thread_id}/runs", summary="Create a run in the background")
async def create_run(request: Request, thread_id: UUID, body: RunBody) -> HttpResponse:
    return await _create(request, body, thread_id=thread_id)


@stateless.post("/runs", summary="Create a run on a thread of its own")
async def create_stateless_run(request: Request, body: RunBody) -> HttpResponse:
    return await _create(request, body, thread_id=None)


async def _create(request: Request, body: RunCreate, *, thread_id: UUID | None) -> HttpResponse:
    run = await admit(body, thread_id=thread_id, principal=request.auth)
    # The run as it was accepted, which clients rely on; it may run already.
    accepted = run_json(run) | {"status": RunStatus.PENDING}
    headers = contents(request, run.id, thread_id)
    return HttpResponse(encode(accepted), content_type="application/json", headers=headers)


@router.get("/threads/{thread_id}/runs", summary="List a thread's runs, newest first")
async def list_runs(
    request: Request,
    thread_id: UUID,
    select: Select,
    limit: Limit = 10,
    offset: Offset = 0,
    status: Status | None = None,
) -> list[dict[str, Any]]:
    return await in_database(
        list_of_runs,
        thread_id,
        principal=request.auth,
        status=status,
        select=list(select),
        limit=limit,
        offset=offset,
    )


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
    action: Literal["interrupt", "rollback"] = "interrupt",
) -> HttpResponse:
    """With `wait`, answer when the run has stopped; else at once."""
    await cancel_run(run_id, thread_id=thread_id, principal=request.auth, action=action)
    if not wait:
        return HttpResponse(status=202)
    await settled(run_id)
    return HttpResponse(
        b"{}", content_type="application/json", headers=locations(request, run_id, thread_id, "join")
    )
