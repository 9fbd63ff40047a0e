"""The thread's columns after each end of a run, with and without others in flight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runs.lifecycle import thread_rest
from runs.lifecycle.outcomes import Ending, Outcome
from runs.lifecycle.thread_rest import UNTOUCHED, Rest, after, cut_off, executed, lost, rolled_back
from threads.db.fields import Encoded

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ASKED = {"task": [{"id": "i", "value": "sure?"}]}
ERROR = {"error": "ValueError", "message": "kaboom"}
VALUES = Encoded('{"log":[]}')


@dataclass
class Kept:
    resting_status: str = "interrupted"
    ttl_minutes: float | None = None


def ended(ending: Ending, **fields: Any) -> Rest:
    return executed(Outcome(ending, **{"values": VALUES, **fields}))


READ: dict[str, Any] = {"values": VALUES, "state_updated_at": NOW, "stale_since": None}
CASES: dict[str, tuple[Rest, str, dict[str, Any]]] = {
    "done": (ended(Ending.SUCCESS), "idle", {"error": None, "interrupts": {}, **READ}),
    "asks": (ended(Ending.SUCCESS, interrupts=ASKED), "interrupted", {"error": None, "interrupts": ASKED, **READ}),
    "stops at a breakpoint": (ended(Ending.SUCCESS, next=["b"]), "interrupted", {"error": None, "interrupts": {}, **READ}),
    "is cancelled with steps left": (ended(Ending.INTERRUPTED, next=["b"]), "interrupted", {"error": None, "interrupts": {}, **READ}),
    "is cancelled with nothing left": (ended(Ending.INTERRUPTED), "idle", {"error": None, "interrupts": {}, **READ}),
    "fails": (ended(Ending.ERROR, error=ERROR, next=["b"]), "error", {"error": ERROR, "interrupts": {}, **READ}),
    "takes too long": (ended(Ending.TIMEOUT, error=ERROR), "error", {"error": ERROR, "interrupts": {}, **READ}),
    "streams no values": (ended(Ending.SUCCESS, values=None), "idle", {"error": None, "interrupts": {}}),
    "cannot be read": (
        ended(Ending.INTERRUPTED, values=None, interrupts=None), "interrupted", {"error": None, "stale_since": NOW, "refreshes": None},
    ),
    "is rolled back": (
        rolled_back(Outcome(Ending.ROLLED_BACK, values=VALUES, interrupts=ASKED)), "", {"interrupts": ASKED, **READ},
    ),
    "is rolled back and cannot be read": (
        rolled_back(Outcome(Ending.ROLLED_BACK, interrupts=None)), "", {"stale_since": NOW, "refreshes": None},
    ),
    "never began": (UNTOUCHED, "", {}),
    "does not go on": (cut_off(ASKED), "interrupted", {"error": None, "interrupts": ASKED, "stale_since": NOW, "refreshes": None}),
    "is lost": (lost(ERROR, ASKED), "error", {"error": ERROR, "interrupts": ASKED, "stale_since": NOW, "refreshes": None}),
}  # fmt: skip


@pytest.mark.parametrize("in_flight", [False, True])
@pytest.mark.parametrize("before", ["idle", "interrupted", "error"])
@pytest.mark.parametrize("name", CASES)
def test_what_a_run_leaves(name: str, before: str, in_flight: bool) -> None:
    rest, resting, columns = CASES[name]
    expected = {"status": "busy" if in_flight else resting or before, "updated_at": NOW, **columns}
    if resting:
        expected["resting_status"] = resting
    assert after(rest, Kept(before), in_flight=in_flight, now=NOW) == expected


@pytest.mark.parametrize("name", CASES)
def test_a_temporary_thread_is_discarded_with_its_last_run(name: str) -> None:
    rest, _, _ = CASES[name]
    assert after(rest, Kept(), in_flight=False, now=NOW, temporary=True)["discarded_at"] == NOW
    assert "discarded_at" not in after(rest, Kept(), in_flight=True, now=NOW, temporary=True)


@pytest.mark.parametrize("name", CASES)
def test_the_expiry_is_put_off(name: str) -> None:
    changes = after(CASES[name][0], Kept(ttl_minutes=5), in_flight=False, now=NOW)
    assert changes["expires_at"] == NOW + timedelta(minutes=5)


def test_the_table_has_every_way_to_end() -> None:
    assert thread_rest.__doc__ is not None
    rows = thread_rest.__doc__.split("===\n")[2].splitlines()
    assert len([row for row in rows if row and not row.startswith("=")]) == 9
