"""Where a run's log ends, also when its events are being removed or were removed.

A run's final status is written with the count of its last attempt's events, after them or in one transaction
with the last one, and removal takes the last event
first (`runs.deletion`). So a run with a count has either all its events, or not its last one.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from django.db import connection

from runs.events.table import EVENTS, RUNS, START, Position
from runs.models import RunEvent

ENDING = f"""
SELECT r.epoch, r.event_count, r.event_count = 0 OR EXISTS (
    SELECT 1 FROM {EVENTS} e WHERE e.run_id = r.id AND e.epoch = r.epoch AND e.seq = r.event_count
) FROM {RUNS} r WHERE r.id = %s
"""


class Ending(NamedTuple):
    """How the log of a run ends.

    Args:
        position: That of its last event; (epoch, 0) if it is in flight, or if its last attempt left none.
        kept: False if the log is being removed, or was removed.
    """

    position: Position
    kept: bool


def ending(run_id: UUID) -> Ending | None:
    """How the log of a run ends; None if the run was deleted."""
    field = RunEvent._meta.get_field("run")
    with connection.cursor() as cursor:
        cursor.execute(ENDING, [field.get_db_prep_value(run_id, connection)])
        found = cursor.fetchone()
    return Ending((found[0], found[1]), bool(found[2])) if found is not None else None


def removed(run_id: UUID) -> bool:
    """Whether the log of a run is being removed, or was. What was read of it before may be half of it."""
    found = ending(run_id)
    return found is None or not found.kept


def last_position(run_id: UUID) -> Position:
    """The position of a run's newest event, even if it was removed since."""
    events = RunEvent.objects.filter(run_id=run_id).order_by("-epoch", "-seq").values_list("epoch", "seq")
    end = ending(run_id)
    return max(events.first() or START, end.position if end is not None and end.position[1] else START)
