"""Checks of what each reader of a stream saw. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.found import Found, decoded
from tests.chaos.ledger import Ledger, Reading
from tests.chaos.shapes import Order, bulk, digest, text_of
from tests.processes.databases import Row
from tests.processes.harness import TERMINAL


def read(reading: Reading, run: Row | None, found: Found) -> list[str]:
    """A reader saw the log's events once and in order, and no others of the last attempt."""
    wrong = [f"{later} after {earlier}" for earlier, later in pairwise(reading.ids) if earlier >= later]
    # Readers of a run's stream do not get the events of the other protocol.
    events = [row for row in found.events.get(reading.run_id, []) if row["event"] != "+"]
    if run is not None and run["status"] in TERMINAL and reading.complete:
        log = {(row["epoch"], row["seq"]) for row in events}
        if missed := log - set(reading.ids):
            wrong.append(f"never saw {sorted(missed)}")
        # The last events before a lost attempt may not have reached the log. If a run was cancelled while it
        # waited to continue, its last attempt was lost.
        waited = not run["event_count"] or (run["status"] == "interrupted" and run["lost_attempts"])
        last = run["epoch"] + 1 if waited else max((epoch for epoch, _ in log), default=0)
        if invented := {each for each in reading.ids if each not in log and each[0] >= last}:
            wrong.append(f"saw {sorted(invented)}, which the log does not have")
        if run["attempt"] == 1 and reading.texts and run["status"] == "success":
            expected = text_of_run(run)
            if list(reading.texts.values()) != [expected]:
                wrong.append(f"read {reading.texts} instead of {expected!r}")
    return [f"A reader of run {reading.run_id}: {each}" for each in wrong]


def text_of_run(run: Row) -> str:
    return text_of(Order("talking", "", 0.0, tokens=decoded(run["kwargs"])["input"]["tokens"]))


def contradictions(ledger: Ledger) -> Iterator[str]:
    """Events that two readers of a run saw with the same id but different contents."""
    seen: dict[tuple[str, str], str] = {}
    for reading in ledger.readings:
        for place, text in reading.digests.items():
            if seen.setdefault((reading.run_id, place), text) != text:
                yield f"Readers of run {reading.run_id} saw different events {place}"


def bulks(ledger: Ledger) -> Iterator[str]:
    """Large events that differ from what their step wrote."""
    orders = {creation.run_id: creation.order for creation in ledger.creations()}
    for reading in ledger.readings:
        for step, texts in reading.bulks.items():
            order = orders[reading.run_id]
            if set(texts) != {digest(bulk(order.tag, step, order.size))}:
                yield f"A reader of run {reading.run_id} saw another text of {step}"
