"""Firing crons: the claim, the run, and the date of the next one are one transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from runs.crons.schedules import next_time
from runs.exceptions import NotFound, RunsError
from runs.identity.authentication import known_details
from runs.lifecycle import admission
from runs.models import Cron, MultitaskStrategy, Run, RunStatus
from runs.requests.bodies import RunCreate
from runs.requests.run import RunRequest
from threads.db import clock
from threads.db.errors import is_passing

logger = logging.getLogger(__name__)

#: Crons that are looked for at once.
BATCH = 100
#: Why none is added to a queue that does not get shorter.
STILL_WAITS = "The run that it created last still waits for its turn."


@dataclass(frozen=True, slots=True)
class Fired:
    """What came of a cron that was due."""

    #: What its admission owes to others; None if it was refused.
    admitted: admission.Admitted | None
    error: str | None = None


def due_crons() -> list[UUID]:
    """The crons that are due, the longest overdue first; at most a batch."""
    due = Cron.objects.due(clock.now()).order_by("next_run_date", "id")
    return list(due.values_list("id", flat=True)[:BATCH])


def next_due() -> datetime | None:
    """When the next cron is due; None if there is none."""
    dates = Cron.objects.scheduled().order_by("next_run_date").values_list("next_run_date", flat=True)
    return dates.first()


def fire(cron_id: UUID, *, unasked: bool = True) -> Fired | None:
    """Create the run of a cron that is due, and put its date off; None if it is not due (any more).

    A run that is refused is not tried again: the cron says why, and goes on with its next date. Dates that have been
    missed meanwhile are left out, and so are those at which the cron's last run has not begun, though it could have: the
    queue would grow without bound. A cron that another process is firing is left to it.

    Args:
        unasked: Whether it is the clock that fires it; else it is fired in any case, and its dates stay as they are.
    """
    now = clock.now()
    found = Cron.objects.due(now) if unasked else Cron.objects.all()
    with transaction.atomic():
        rows = found.filter(id=cron_id).select_related("user")
        cron = rows.select_for_update(skip_locked=unasked, of=("self",)).first()
        if cron is None:
            return None
        fired = Fired(None, STILL_WAITS) if unasked and _last_waits(cron, now) else _create_run(cron)
        changes: dict[str, Any] = {"last_fired_at": now, "last_error": fired.error}
        if fired.admitted is not None:
            changes["last_run_id"] = fired.admitted.run.id
        if unasked:
            changes["next_run_date"] = date_after(cron, now)
        Cron.objects.filter(id=cron.id).update(**changes)
    return fired


def date_after(cron: Cron, now: datetime) -> datetime | None:
    """The cron's next date, if it has one before its end."""
    found = next_time(cron.schedule, cron.timezone, after=now)
    return None if found is None or (cron.end_time is not None and found > cron.end_time) else found


def _last_waits(cron: Cron, now: datetime) -> bool:
    """Whether the cron's last run could begin and has not, and another one would come after it, not instead of it."""
    replaces = cron.payload.get("multitask_strategy") in (
        MultitaskStrategy.INTERRUPT,
        MultitaskStrategy.ROLLBACK,
    )
    if cron.last_run_id is None or (cron.thread_id is not None and replaces):
        return False
    last = Run.objects.filter(id=cron.last_run_id, status=RunStatus.PENDING, due_at__lte=now)
    return last.exists()


def _create_run(cron: Cron) -> Fired:
    try:
        # A savepoint: what a refused admission has written goes, and the cron's next date does not.
        with transaction.atomic():
            if not cron.user.is_active:
                raise NotFound("The cron's user is not active.")
            return Fired(
                admission.admit(
                    request_of(cron),
                    user_id=cron.user_id,
                    thread_id=cron.thread_id,
                    auth_details=known_details(cron.user_id),
                )
            )
    except (RunsError, ValueError) as error:
        logger.warning("Cron %s created no run: %s", cron.id, error)
        return Fired(None, str(error))
    except Exception as error:
        if is_passing(error):
            # Nobody's fault, and nothing has happened: it is still due.
            raise
        logger.exception("Cron %s created no run.", cron.id)
        return Fired(None, f"{type(error).__name__}: {error}")


def request_of(cron: Cron) -> RunRequest:
    """The run that a cron creates. Raises InvalidRequest for one that is not allowed (any more)."""
    stateless = cron.thread_id is None
    body = RunCreate.model_validate({**cron.payload, "assistant_id": str(cron.assistant_id)})
    request = body.request(stateless=stateless)
    configurable = {**request.config.get("configurable", {}), "cron_id": str(cron.id)}
    return replace(
        request,
        metadata={**request.metadata, "cron_id": str(cron.id)},
        config={**request.config, "configurable": configurable},
        on_completion="delete" if stateless and cron.on_run_completed != "keep" else "keep",
    )
