"""What the end of a run leaves on its thread. Pure: no queries.

=============================== ================ ========== =========== ============
how the run ended                resting status   error      interrupts  values
=============================== ================ ========== =========== ============
executed: done, nothing left     idle             cleared    none        its own
executed: steps or interrupts    interrupted      cleared    its own     its own
executed: error or time limit    error            its own    its own     its own
rolled back                      as before        as before  as read     as read
ended before it ever started     as before        as before  as before   as before
ended while it was requeued      interrupted      cleared    as read     stale
deleted while it executed        interrupted      cleared    as read     stale
lost with its worker, newest     error            its own    as read     stale
lost, and a newer one executed   as before        as before  as before   as before
=============================== ================ ========== =========== ============

A thread with other runs in flight is `busy`, and gets its resting status when the last of them has
ended. Stale values lag behind the checkpoints, because they were not read through the graph since.
`runs.states.refresh` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from runs.lifecycle.outcomes import Ending, Outcome
from threads import expiry
from threads.db.fields import Encoded
from threads.models import ThreadStatus


class Kept(Protocol):
    """The columns needed of a locked thread."""

    @property
    def ttl_minutes(self) -> float | None: ...
    @property
    def resting_status(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Rest:
    """What the end of a run changes about its thread; None where the thread keeps its value."""

    status: str | None = None
    interrupts: Mapping[str, Any] | None = None
    values: Encoded | None = None
    #: {"error": class, "message": …} of a failed run. Written or cleared together with the status.
    error: Mapping[str, str] | None = None
    #: Whether the checkpoints are newer than the values.
    stale: bool = False


#: The end of a run that never started, or after which a newer run executed.
UNTOUCHED = Rest()


def executed(outcome: Outcome) -> Rest:
    """The end of an attempt with a final status."""
    return Rest(
        status=_status(outcome),
        interrupts=outcome.interrupts,
        values=outcome.values,
        error=outcome.error,
        stale=outcome.interrupts is None,
    )


def waits(outcome: Outcome) -> bool:
    """Whether the thread waits for a person after this attempt."""
    return _status(outcome) == ThreadStatus.INTERRUPTED


def rolled_back(outcome: Outcome) -> Rest:
    """The end of a run whose checkpoints were removed: the thread is where it was before."""
    return Rest(interrupts=outcome.interrupts, values=outcome.values, stale=outcome.interrupts is None)


def cut_off(interrupts: Mapping[str, Any]) -> Rest:
    """The end of a started run that does not execute again: it left steps undone, and may have used
    answers.
    """
    return Rest(status=ThreadStatus.INTERRUPTED, interrupts=interrupts, stale=True)


def lost(error: Mapping[str, str], interrupts: Mapping[str, Any]) -> Rest:
    """The end of a run whose worker is dead, and that is not retried."""
    return Rest(status=ThreadStatus.ERROR, interrupts=interrupts, error=error, stale=True)


def after(
    rest: Rest, thread: Kept, *, in_flight: bool, now: datetime, temporary: bool = False
) -> dict[str, Any]:
    """Return the changes to a thread's row when one of its runs ends.

    Args:
        thread: The thread, as it was before.
        in_flight: Whether other runs of the thread are pending or running.
        temporary: Whether the thread exists only for this run, and is discarded with it.
    """
    status = thread.resting_status if rest.status is None else rest.status
    changes: dict[str, Any] = {
        "status": ThreadStatus.BUSY if in_flight else status,
        "updated_at": now,
        **expiry.extended(thread, now=now),
    }
    if rest.status is not None:
        changes |= {"resting_status": rest.status, "error": rest.error}
    if rest.interrupts is not None:
        changes["interrupts"] = rest.interrupts
    if rest.values is not None:
        changes |= {"values": rest.values, "state_updated_at": now, "stale_since": None}
    if rest.stale:
        changes |= {"stale_since": now, "refreshes": None}
    if temporary and not in_flight:
        changes["discarded_at"] = now
    return changes


def _status(outcome: Outcome) -> str:
    """The reference server's rule (wire protocol §2.3)."""
    if outcome.ending in (Ending.ERROR, Ending.TIMEOUT):
        return ThreadStatus.ERROR
    return ThreadStatus.IDLE if outcome.interrupts == {} and not outcome.next else ThreadStatus.INTERRUPTED
