"""The progress of bulk actions: begun by a person, continued by any process, stopped by a person.

Each run is handled in one transaction, which also holds the bulk action's row and moves its cursor. A
process that dies in between leaves nothing half done, and the next one continues behind the cursor:
no run is handled twice, also where that would matter (a retry).
"""

from __future__ import annotations

import logging
import time
from enum import Enum
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from runs.exceptions import InvalidRequest, LimitReached, RunsError
from runs.lifecycle.operators.bulk.kinds import KINDS, checked
from runs.lifecycle.operators.operations import Operator
from runs.models import BulkAction, BulkState, BulkTarget
from runs.models.querysets import RunQuerySet
from runs.process.current import ring
from runs.process.wakeups import BULK
from threads.db import clock
from threads.db.errors import is_passing
from threads.db.ids import new_id

logger = logging.getLogger(__name__)

#: How many refusals of a bulk action are kept with their sentences.
KEPT = 1000


class Step(Enum):
    #: A run was handled; there may be more.
    HANDLED = "handled"
    #: The runs that are left wait, because limits of their users are reached.
    WAITS = "waits"
    #: Another process works on it at this moment.
    HELD = "held"
    OVER = "over"


def begin(
    kind: str,
    rows: RunQuerySet,
    by: Operator,
    *,
    reason: str = "",
    criterion: str = "",
    until: UUID | None = None,
    **arguments: Any,
) -> BulkAction:
    """Begin an action on the runs that match now; later ones are not touched.

    Args:
        criterion: How the runs were chosen, for the record.
        until: Only runs with at most this id: those that existed when the person was asked. It is the action's
            id too, so that a confirmation that is sent twice begins one action, which is returned both times.

    Raises InvalidRequest.
    """
    arguments, reason = checked(kind, arguments, reason)
    if until is None:
        return _begin(kind, rows, by, reason, criterion, new_id(), arguments)
    try:
        return _begin(kind, rows.filter(id__lte=until), by, reason, criterion, until, arguments)
    except IntegrityError:
        begun = BulkAction.objects.filter(id=until).first()
        if begun is None:
            raise
        given = (kind, arguments, reason, by.user_id, criterion)
        if given != (begun.kind, begun.arguments, begun.reason, begun.user_id, begun.criterion):
            # The page was sent, changed by way of "back", and sent again.
            raise InvalidRequest(
                "This page was confirmed before, with other values. Open the list and begin again."
            ) from None
        return begun


def _begin(
    kind: str,
    rows: RunQuerySet,
    by: Operator,
    reason: str,
    criterion: str,
    bulk_id: UUID,
    arguments: dict[str, Any],
) -> BulkAction:
    with transaction.atomic():
        bulk = BulkAction.objects.create(
            id=bulk_id, kind=kind, arguments=arguments, reason=reason, user_id=by.user_id, who=by.name[:255],
            origin=by.origin, criterion=criterion, created_at=clock.now(),
        )  # fmt: skip
        bulk.total = _choose(bulk, rows)
        if not bulk.total:
            raise InvalidRequest("No run matches (any more).")
        bulk.save(update_fields=["total"])
        transaction.on_commit(lambda: ring(BULK))
    return bulk


def _choose(bulk: BulkAction, rows: RunQuerySet) -> int:
    """Store the ids of the runs, in one statement of the database; return how many."""
    try:
        query, values = rows.order_by().values_list("id").query.sql_with_params()
    except EmptyResultSet:
        return 0
    name = connection.ops.quote_name
    field = BulkTarget._meta.get_field("bulk")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {name(BulkTarget._meta.db_table)} (bulk_id, run_id, refusal) "
            # A search that joins several rows of a run would find it several times. SQLite needs the WHERE.
            f"SELECT %s, chosen.id, '' FROM ({query}) chosen WHERE true ON CONFLICT DO NOTHING",
            [field.get_db_prep_value(bulk.pk, connection), *values],
        )
        return int(cursor.rowcount)


def unfinished() -> list[UUID]:
    """The bulk actions that are not over, the oldest first."""
    return list(BulkAction.objects.filter(ended_at=None).order_by("id").values_list("id", flat=True))


def advance(bulk_id: UUID, *, seconds: float) -> Step:
    """Handle runs for some seconds, at least one; return how the last step ended."""
    until = time.monotonic() + seconds
    while True:
        step = handle_next(bulk_id)
        if step is not Step.HANDLED or time.monotonic() >= until:
            return step


def handle_next(bulk_id: UUID) -> Step:
    """Handle the next run in one transaction."""
    with transaction.atomic():
        found = BulkAction.objects.filter(id=bulk_id, ended_at=None)
        bulk = found.select_for_update(skip_locked=True, of=("self",)).first()
        if bulk is None:
            return Step.HELD if found.exists() else Step.OVER
        targets = BulkTarget.objects.filter(bulk=bulk, refusal="")
        later = targets if bulk.cursor is None else targets.filter(run_id__gt=bulk.cursor)
        run_id = later.order_by("run_id").values_list("run_id", flat=True).first()
        if run_id is None:
            return _end_pass(bulk, targets.exists())
        try:
            counter, refusal = _act(bulk, run_id)
        except LimitReached as error:
            # One user's limit does not keep the runs of others: this one is tried again in the next pass.
            BulkAction.objects.filter(id=bulk_id).update(cursor=run_id, waits_because=str(error))
            return Step.HANDLED
        target = targets.filter(run_id=run_id)
        if refusal and bulk.refused + bulk.failed < KEPT:
            target.update(refusal=refusal)
        else:
            target.delete()
        changes: dict[str, Any] = {"state": BulkState.RUNNING, "cursor": run_id, counter: F(counter) + 1}
        if bulk.cursor is None:
            changes["waits_because"] = ""
        BulkAction.objects.filter(id=bulk_id).update(**changes)
        return Step.HANDLED


def _end_pass(bulk: BulkAction, some_wait: bool) -> Step:
    """After the last run: end, or begin again with the runs that were put off."""
    if not some_wait:
        _end(bulk, BulkState.FINISHED)
        return Step.OVER
    BulkAction.objects.filter(id=bulk.id).update(cursor=None)
    return Step.WAITS


def _act(bulk: BulkAction, run_id: UUID) -> tuple[str, str]:
    """Act on one run; return which count it belongs to, and why it was refused.

    Raises LimitReached, and errors of the database that pass.
    """
    by = Operator(bulk.who, bulk.origin, bulk.user_id, bulk.id)
    try:
        # A savepoint: what a refused action has written is undone, and the refusal is kept.
        with transaction.atomic():
            KINDS[bulk.kind].act(run_id, by, bulk)
    except LimitReached:
        raise
    except RunsError as error:
        return "refused", str(error)
    except Exception as error:
        if is_passing(error):
            raise
        logger.exception("Bulk action %s failed on run %s.", bulk.id, run_id)
        # The message may quote what people wrote, so it stays in the log.
        return "failed", f"{type(error).__name__}: the server's log has the rest."
    return "done", ""


def stop(bulk_id: UUID) -> bool:
    """Leave the rest of the runs alone; return whether it was not over before."""
    with transaction.atomic():
        bulk = BulkAction.objects.filter(id=bulk_id, ended_at=None).select_for_update(of=("self",)).first()
        if bulk is None:
            return False
        _end(bulk, BulkState.STOPPED)
        return True


def _end(bulk: BulkAction, state: BulkState) -> None:
    BulkAction.objects.filter(id=bulk.id).update(state=state, ended_at=clock.now(), waits_because="")
    BulkTarget.objects.filter(bulk=bulk, refusal="").delete()
