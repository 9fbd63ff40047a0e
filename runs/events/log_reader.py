"""Reading one run's log to its end, without taking half of a log that is being removed for a whole one.

Removal is in steps, each a transaction, and takes the last event of a run in the first of them
(`runs.deletion`). So if that event is there after a batch was read, the batch has no gap, and what
follows it is there too.
"""

from __future__ import annotations

from uuid import UUID

from runs.events import table
from runs.events.endings import ending
from runs.events.table import START, Event, Position
from runs.exceptions import LogRemoved
from runs.models import Run
from threads.db import statements

#: The condition that a reader of another process's run checks at each wake-up.
IN_FLIGHT = "id = %s AND status IN ('pending', 'running')"


def is_settled(run_id: UUID) -> bool:
    """Whether a run is terminal or deleted."""
    return not statements.exists(Run, IN_FLIGHT, {"id": run_id})


class LogReader:
    """One reader of a run's log."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        #: The position of the run's last event, once it is known.
        self.end: Position | None = None
        #: Whether the run is terminal or deleted, and the reader has all its events.
        self.ended = False

    def next(self, after: Position) -> list[Event]:
        """The next events after a position: none if there are none now, or no more.

        To a reader that has nothing yet, a log that is being removed is empty. Raises LogRemoved for
        one that has a part of it.
        """
        # The order matters: the last events are in the log before the status is terminal, and removal may
        # begin while a batch is read.
        settled = is_settled(self._run_id)
        batch = table.read(self._run_id, after)
        if settled and self._removed():
            batch = []
            if self.end is not None and START < after < self.end:
                raise LogRemoved
        self.ended = settled and not batch
        return batch

    def _removed(self) -> bool:
        found = ending(self._run_id)
        if found is None:
            # If its end is not known, the run was deleted in flight, and its log has no other end.
            return True
        self.end = found.position
        return not found.kept
