"""Several runs at once: creating all or none of them, and cancelling a user's runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from runs.exceptions import NothingToCancel
from runs.lifecycle.admission import admit, earlier_runs
from runs.lifecycle.cancellation import cancel
from runs.models import Run
from runs.process.current import current
from runs.requests import limits
from runs.requests.idempotency import Once
from runs.requests.run import RunRequest, with_headers
from threads.db.database import in_database
from threads.models.querysets import Principal

#: Runs that are cancelled in one call, one transaction each, before other work gets the database thread.
PAGE = 50
#: Runs that one request cancels by their status.
MOST_CANCELLED = 10_000


async def create_runs(
    requests: Sequence[RunRequest], *, principal: Principal, once: Once | None = None
) -> list[Run]:
    """Create runs on threads of their own, all or none; raises like `admission.create_run`.

    Cancelling the caller does not change that.
    """
    earlier = earlier_runs(principal)
    if once is not None and (found := await in_database(once.found, earlier)):
        return found
    for request in requests:
        limits.check_input(request)
    requests = [with_headers(request, principal) for request in requests]
    await limits.take_runs(principal.user_id, len(requests))
    runs = await in_database(admit_all, requests, principal=principal, once=once, earlier=earlier)
    current().work_added()
    return runs


def admit_all(
    requests: Sequence[RunRequest],
    *,
    principal: Principal,
    once: Once | None = None,
    earlier: QuerySet[Run],
) -> list[Run]:
    """Admit stateless runs in one transaction. None is claimed here, so that all processes share
    them.
    """
    with transaction.atomic():
        if once is not None and (found := once.taken(earlier)):
            return found
        runs = [admit(request, principal=principal, thread_id=None).run for request in requests]
        if once is not None:
            once.record(run.id for run in runs)
    return runs


async def cancel_runs(
    run_ids: Collection[UUID], *, thread_id: UUID | None, principal: Principal, action: str
) -> None:
    """Cancel those of the principal's runs that can be cancelled.

    Raises NothingToCancel if none can be; its message is about the last one refused.
    """
    ids = list(run_ids)
    cancelled, refusal = False, NothingToCancel()
    for start in range(0, len(ids), PAGE):
        done, refused = await in_database(
            _cancel_page, ids[start : start + PAGE], thread_id, principal, action
        )
        for run_id in done:
            current().cancelled(run_id)
        cancelled, refusal = cancelled or bool(done), refused or refusal
    if not cancelled:
        raise refusal


def _cancel_page(
    run_ids: Sequence[UUID], thread_id: UUID | None, principal: Principal, action: str
) -> tuple[list[UUID], NothingToCancel | None]:
    done: list[UUID] = []
    refused: NothingToCancel | None = None
    for run_id in run_ids:
        try:
            cancel(run_id, action=action, thread_id=thread_id, principal=principal)
        except NothingToCancel as error:
            refused = error
        else:
            done.append(run_id)
    return done, refused


def in_flight_of(principal: Principal, statuses: Collection[str]) -> list[UUID]:
    """The principal's runs in these statuses; pending ones first, so that none starts when another
    one is cancelled. At most `MOST_CANCELLED`.
    """
    runs = Run.objects.for_principal(principal).in_flight().filter(status__in=statuses)
    return list(runs.order_by("status", "id").values_list("id", flat=True)[:MOST_CANCELLED])
