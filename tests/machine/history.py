"""Invariants of a picture of the database, and of the step between two (durability §1.3)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby

from tests.machine.sight import Event, Row, Sight

TERMINAL = frozenset({"success", "error", "timeout", "interrupted"})
#: The moves of a run, by cause; None is a missing run.
ARROWS: dict[str, set[tuple[str | None, str | None]]] = {
    "created": {(None, "pending"), (None, "running")},
    "claimed": {("pending", "running")},
    "settled": {("running", each) for each in (*TERMINAL, "pending", None)},
    "recovered": {("running", "pending"), ("running", "error")},
    "cancelled": {("pending", "interrupted"), ("pending", None)},
    "deleted": {(each, None) for each in (*TERMINAL, "pending", "running")},
}
#: The fields that a cancel may change without a move.
REQUEST = ("cancel_action", "cancel_requested_at", "updated_at", "due_at")

#: Run id -> its allowed moves in this step.
Moves = Mapping[str, set[str]]


# --- one picture


def sound(now: Sight) -> None:
    """Assert the invariants of any picture."""
    for thread in now.threads.values():
        of_thread([run for run in now.runs.values() if run["thread_id"] == thread["id"]], thread)
        history(now.checkpoints.get(thread["id"], []))
    for run in now.runs.values():
        log_of_run(run, now.events.get(run["id"], []))
    assert set(now.events) <= set(now.runs), "Events outlived their run."
    assert set(now.checkpoints) <= set(now.threads), "Checkpoints outlived their thread."


def of_thread(runs: list[Row], thread: Row) -> None:
    """I1, I2: the rows of a thread's runs agree with each other and with the thread."""
    assert sum(run["status"] == "running" for run in runs) <= 1, "Two runs of a thread run."
    busy = any(run["status"] not in TERMINAL for run in runs)
    assert (thread["status"] == "busy") == busy, f"A {thread['status']} thread; runs in flight: {busy}"
    assert not thread["interrupts"] or thread["status"] != "idle", "An idle thread asks something."
    for run in runs:
        running, final = run["status"] == "running", run["status"] in TERMINAL
        assert (run["worker_id"] is not None) == running, "Only a running run has an owner."
        assert (run["finished_at"] is not None) == final
        assert (run["error"] is not None) == (run["status"] in ("error", "timeout"))
        assert run["epoch"] <= thread["epoch"]
        assert not running or run["epoch"] == thread["epoch"], "A run runs whose epoch is over."
        assert run["lost_attempts"] <= run["attempt"]


def history(checkpoints: list[Row]) -> None:
    """I2, I4: one line of checkpoints; each extends its parent's log, and no event is repeated."""
    known = {each["id"]: each for each in checkpoints}
    children = Counter(each["parent"] for each in checkpoints)
    assert not [parent for parent, count in children.items() if count > 1], f"A fork: {checkpoints}"
    for each in checkpoints:
        words = each["log"].split()
        assert len(words) == len(set(words)), f"Something happened twice: {words}"
        steps = [word.split("=")[0] for word in words]
        assert len(steps) == len(set(steps)), f"A step happened twice: {words}"
        if each["parent"] is not None:
            assert each["parent"] in known, f"A checkpoint without its parent: {each}"
            assert each["log"].startswith(known[each["parent"]]["log"]), (
                "A step forgot what happened before it."
            )


def log_of_run(run: Row, events: list[Event]) -> None:
    """I7, I8: each attempt's events are numbered without a gap, and the end agrees with the status."""
    attempts = [list(rows) for _, rows in groupby(events, key=lambda event: event[0])]
    for rows in attempts:
        assert [seq for _, seq, _, _ in rows] == list(range(1, len(rows) + 1)), f"A gap: {rows}"
        assert rows[0][2] in ("metadata", "error")
        assert [name for _, _, name, _ in rows].count("metadata") <= 1
    began = [json.loads(rows[0][3])["attempt"] for rows in attempts if rows[0][2] == "metadata"]
    assert began == sorted(set(began)), f"Attempts {began}"
    assert all(epoch <= run["epoch"] for epoch, *_ in events)
    failed = run["status"] in ("error", "timeout")
    assert [event for event in events if event[2] == "error"] == (events[-1:] if failed else [])
    if run["status"] == "success":
        assert (attempts[-1][0][0], attempts[-1][0][2]) == (run["epoch"], "metadata")


# --- from one picture to the next


def lawful(before: Sight, now: Sight, moves: Moves | None) -> None:
    """Assert that a step made only the moves allowed by its rule.

    None allows any run to move, also twice.
    """
    for run_id in before.runs.keys() | now.runs.keys():
        _final(before.runs.get(run_id), now.runs.get(run_id))
        if moves is not None:
            _run(before.runs.get(run_id), now.runs.get(run_id), moves.get(run_id, set()))
    for thread_id, thread in before.threads.items():
        if thread_id in now.threads:
            assert thread["epoch"] <= now.threads[thread_id]["epoch"]
    _events(before, now)
    _checkpoints(before, now)


def _final(before: Row | None, now: Row | None) -> None:
    """I1: a final status is written once. Counters only grow."""
    if before is None or now is None:
        return
    assert now == before or before["status"] not in TERMINAL, f"A final run changed: {before} became {now}"
    for name in ("attempt", "lost_attempts", "epoch"):
        assert before[name] <= now[name], f"{name} shrank."


def _run(before: Row | None, now: Row | None, allowed: set[str]) -> None:
    was, is_now = before and before["status"], now and now["status"]
    if was == is_now:
        if before and now and before != now:
            quiet = {name for name in now if now[name] != before[name]}
            assert quiet <= {*REQUEST, "base"}, f"A run changed without moving: {quiet}"
            first = "cancel_action" not in quiet or before["cancel_action"] == ""
            assert first, "The first request to cancel wins."
        return
    ways = [way for way in allowed if (was, is_now) in ARROWS[way]]
    assert ways, f"A run went from {was} to {is_now}; this step may only have it {allowed or 'untouched'}."
    if now is None:
        return
    attempt, lost = (before["attempt"], before["lost_attempts"]) if before else (0, 0)
    assert now["attempt"] == attempt + (is_now == "running"), "An attempt is a claim."
    charged = "recovered" in ways
    assert now["lost_attempts"] == lost + charged, "An attempt is lost when its process is."
    if is_now == "running":
        assert now["epoch"] > (before["epoch"] if before else 0)


def _events(before: Sight, now: Sight) -> None:
    """I7: the log only grows, at its end, and by the attempt that owned the run."""
    for run_id, events in now.events.items():
        old = before.events.get(run_id, [])
        assert events[: len(old)] == old, f"The log of {run_id} was rewritten."
        owners = {row["epoch"] for row in (before.runs.get(run_id), now.runs[run_id]) if row}
        assert {epoch for epoch, *_ in events[len(old) :]} <= owners, "An event of an attempt that is over."
    for run_id in before.events.keys() - now.events.keys():
        assert run_id not in now.runs, f"The log of {run_id} is gone."


def _checkpoints(before: Sight, now: Sight) -> None:
    """I2: checkpoints are added by the attempt that owns the thread, and removed by a rollback alone."""
    owners = {
        (run["id"], run["attempt"])
        for sight in (before, now)
        for run in sight.runs.values()
        if run["status"] == "running"
    }
    old = {each["id"]: each for each in _all(before)}
    new = {each["id"]: each for each in _all(now)}
    for name in new.keys() - old.keys():
        assert (new[name]["run_id"], new[name]["attempt"]) in owners, f"Not its owner's: {new[name]}"
    for name in old.keys() & new.keys():
        assert old[name] == new[name], f"A checkpoint changed: {old[name]} became {new[name]}"
    for name in old.keys() - new.keys():
        run = now.runs.get(old[name]["run_id"])
        # It is rolled back at the end of its last attempt, before that is recorded.
        assert run is None or run["cancel_action"] == "rollback", (
            f"A checkpoint of a run that is there is gone: {old[name]}"
        )


def _all(sight: Sight) -> Iterator[Row]:
    for each in sight.checkpoints.values():
        yield from each
