"""Firing crons: the claim, the new run and the next date are one transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from runs.crons.schedules import InvalidSchedule, next_time
from runs.exceptions import NotFound, RunsError
from runs.identity.authentication import known_details
from runs.identity.principals import Principal
from runs.lifecycle import admission
from runs.lifecycle.records import Operator, record
from runs.models import Cron, MultitaskStrategy, Run, RunStatus
from runs.requests.bodies import RunCreate
from runs.requests.run import RunRequest
from threads.db import clock
from threads.db.errors import is_passing
from threads.db.values.plain import class_name
from threads.db.values.text import storable
from threads.disclosure import text_of

logger = logging.getLogger(__name__)

#: Maximum crons of one query.
BATCH = 100
#: The error of a cron whose last run is still in the queue.
STILL_WAITS = "The run that it created last still waits for its turn."


@dataclass(frozen=True, slots=True)
class Fired:
    """The result of firing a cron."""

    #: The admission, whose notifications are still to be sent; None if the run was refused.
    admitted: admission.Admitted | None
    error: str | None = None


def due_crons() -> list[UUID]:
    """One batch of due crons, the longest overdue first."""
    due = Cron.objects.due(clock.now()).order_by("next_run_date", "id")
    return list(due.values_list("id", flat=True)[:BATCH])


def next_due() -> datetime | None:
    """When the next cron is due; None if there is none."""
    dates = Cron.objects.scheduled().order_by("next_run_date").values_list("next_run_date", flat=True)
    return dates.first()


def fire(cron_id: UUID, *, by: Operator | None = None) -> Fired | None:
    """Create the run of a due cron, and set its next date; None if the cron is not due (any more).

    A refused run is not tried again: the cron stores the error, and continues with its next date.
    Missed dates are skipped. A date is also skipped while the cron's last run is due but has not
    begun, because the queue would grow without bound. A cron that another process is firing is
    skipped.

    Args:
        by: Who fires the cron, for the run's record; None for the clock. A person's run is created in any case,
            and the cron's dates do not change.
    """
    now, unasked = clock.now(), by is None
    found = Cron.objects.due(now) if unasked else Cron.objects.all()
    with transaction.atomic():
        rows = found.filter(id=cron_id).select_related("user")
        cron = rows.select_for_update(skip_locked=unasked, of=("self",)).first()
        if cron is None:
            return None
        fired = Fired(None, STILL_WAITS) if unasked and _last_waits(cron, now) else _create_run(cron)
        changes: dict[str, Any] = {"last_fired_at": now, "last_error": fired.error}
        if fired.admitted is not None:
            changes["last_run_id"] = run_id = fired.admitted.run.id
            if by is not None:
                record(run_id, "fire", by, f"from cron {cron.id}", cron=str(cron.id))
        if unasked:
            changes |= continued(cron, now)
        Cron.objects.filter(id=cron.id).update(**changes)
    return fired


def continued(cron: Cron, now: datetime) -> dict[str, Any]:
    """The columns that say how a cron continues. One whose schedule is no longer valid, because the time zones
    of this machine are others for example, is switched off, and says why.
    """
    try:
        return {"next_run_date": date_after(cron, now)}
    except InvalidSchedule as error:
        logger.warning("Cron %s is switched off: %s", cron.id, error)
        return {"enabled": False, "last_error": storable(str(error))}


def date_after(cron: Cron, now: datetime) -> datetime | None:
    """The cron's next date, if it has one before its end. Raises InvalidSchedule."""
    found = next_time(cron.schedule, cron.timezone, after=now)
    return None if found is None or (cron.end_time is not None and found > cron.end_time) else found


def _last_waits(cron: Cron, now: datetime) -> bool:
    """Whether the cron's last run is due but has not begun, and a new run would not replace it."""
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
        # A savepoint: a refused admission is rolled back, but the cron's next date is kept.
        with transaction.atomic():
            if not cron.user.is_active:
                raise NotFound("The cron's user is not active.")
            return Fired(
                admission.admit(
                    request_of(cron),
                    principal=Principal.permitted_before(cron.user_id, known_details(cron.user_id)),
                    thread_id=cron.thread_id,
                )
            )
    except (RunsError, ValueError) as error:
        logger.warning("Cron %s created no run: %s", cron.id, error)
        return Fired(None, storable(str(error)))
    except Exception as error:
        if is_passing(error):
            # A transient error: the transaction is rolled back, and the cron is still due.
            raise
        logger.exception("Cron %s created no run.", cron.id)
        return Fired(None, storable(f"{class_name(type(error))}: {text_of(error)}"))


def request_of(cron: Cron) -> RunRequest:
    """The request for a cron's run. Raises InvalidRequest if it is not allowed (any more)."""
    stateless = cron.thread_id is None
    body = {**cron.payload, "assistant_id": str(cron.assistant_id)}
    request = RunCreate.checked(body, stateless=stateless)
    configurable = {**request.config.get("configurable", {}), "cron_id": str(cron.id)}
    return replace(
        request,
        metadata={**request.metadata, "cron_id": str(cron.id)},
        config={**request.config, "configurable": configurable},
        on_completion="delete" if stateless and cron.on_run_completed != "keep" else "keep",
    )
