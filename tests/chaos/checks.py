"""What must be true at the end: of every row, every reader's record, every execution. Pure, but for its input.

Each check returns what is wrong as sentences; none stops at the first.
"""

from __future__ import annotations

import json
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations, groupby, pairwise
from typing import Any

from tests.chaos.ledger import CREATED, Creation, Ledger, Reading, Story
from tests.chaos.shapes import STEPS, conversation, is_right, text_of, too_often, work_of
from tests.server import invariants
from tests.server.databases import Row
from tests.server.harness import TERMINAL

#: Runs that came to two processes within this time have no order.
SAME_TIME = timedelta(seconds=0.5)


@dataclass(frozen=True)
class Found:
    """What the database and the trace of executions have at the end."""

    runs: Sequence[Row]
    threads: dict[str, Row]
    #: By run, in order.
    events: dict[str, list[Row]]
    checkpoints: Sequence[Row]
    #: (attempt, step) in the order of their beginnings, by run.
    executed: dict[str, list[tuple[int, str]]]


def gather(rows: Callable[[str], list[Row]], checkpoints: Sequence[Row], trace: Iterable[str]) -> Found:
    runs = rows("SELECT * FROM runs_run ORDER BY due_at, id")
    events = rows("SELECT * FROM runs_runevent ORDER BY run_id, epoch, seq")
    executed: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line in trace:
        run_id, attempt, name = line.split()
        executed[run_id].append((int(attempt), name))
    return Found(
        runs=[run | {"metadata": decoded(run["metadata"])} for run in runs],
        threads={
            row["id"]: row | {"values": decoded(row["values"])}
            for row in rows("SELECT * FROM threads_thread")
        },
        events={run_id: list(each) for run_id, each in groupby(events, key=lambda row: row["run_id"])},
        checkpoints=checkpoints,
        executed=executed,
    )


def decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def check(found: Found, ledger: Ledger) -> list[str]:
    """Everything that is wrong."""
    by_id = {run["id"]: run for run in found.runs}
    by_key: dict[str, list[Row]] = defaultdict(list)
    for run in found.runs:
        by_key[run["metadata"]["key"]].append(run)
    wrong = [*doubled(by_key), *unknown(by_key, ledger), *sound(found)]
    for story in ledger.stories:
        wrong += [f"{story.kind}: {each}" for each in story_of(story, by_key, found)]
    for creation in ledger.creations():
        wrong += executions(creation, by_key, found)
    for reading in ledger.readings:
        wrong += read(reading, by_id.get(reading.run_id), found)
    return wrong


# --- over the whole database


def doubled(by_key: dict[str, list[Row]]) -> list[str]:
    return [f"{key} was created {len(rows)} times" for key, rows in by_key.items() if len(rows) > 1]


def unknown(by_key: dict[str, list[Row]], ledger: Ledger) -> list[str]:
    asked = {creation.key for creation in ledger.creations()}
    return [f"Nobody asked for the run of {key}" for key in by_key if key not in asked]


def sound(found: Found) -> list[str]:
    """The invariants that hold after every fault, for each thread and each run."""
    wrong: list[str] = []

    def holds(check: Callable[[], None], about: str) -> None:
        try:
            check()
        except (AssertionError, LookupError) as error:
            # Outside of pytest an assertion without a message says nothing.
            broken = traceback.extract_tb(error.__traceback__)[-1].line
            wrong.append(f"{about}: {str(error)[:600]} [{broken}]")

    of_thread: dict[str, list[Row]] = defaultdict(list)
    for run in found.runs:
        of_thread[run["thread_id"]].append(run)
    for thread_id, thread in found.threads.items():
        runs = of_thread[thread_id]
        holds(
            lambda runs=runs, thread=thread: invariants.statuses(runs, {thread["id"]: thread}, waiting=0),
            f"Thread {thread_id}",
        )
    for run in found.runs:
        events = found.events.get(run["id"], [])
        holds(lambda run=run, events=events: invariants.log_of_run(run, events), f"Run {run['id']}")
    outlived = set(found.events) - {run["id"] for run in found.runs}
    wrong += [f"Run {run_id} is gone, and its events are not" for run_id in outlived]
    checkpoints: dict[str, list[Row]] = defaultdict(list)
    for each in found.checkpoints:
        checkpoints[each["thread_id"]].append(each)
    for thread_id, history in checkpoints.items():
        holds(lambda history=history: invariants.history(history), f"Checkpoints of thread {thread_id}")
    return wrong


# --- what each script may expect


def story_of(story: Story, by_key: dict[str, list[Row]], found: Found) -> list[str]:
    """What is wrong about the runs of one thread, and what they left."""
    rows = {creation.key: by_key[creation.key][0] for creation in story.creations if by_key.get(creation.key)}
    wrong = [
        f"{creation} is lost"
        for creation in story.creations
        if creation.state == CREATED and creation.key not in rows and not may_vanish(story, creation)
    ]
    for creation in story.creations:
        row = rows.get(creation.key)
        if row is not None and row["status"] not in may_end(story, creation):
            wrong.append(f"{creation} ended as {row['status']}: {row['error']}")
    if wrong or not rows:
        # What the thread says follows from that.
        return wrong
    thread = found.threads[story.thread_id]
    values, first = thread["values"] or {}, story.creations[0]
    if story.kind == "questions":
        answers = [
            creation.answer for creation in story.creations if creation.answer and creation.key in rows
        ]
        right = values.get("log") == conversation(first.order.tag, answers)
        waits = "idle" if len(answers) == 2 else "interrupted"
        if thread["status"] != waits:
            wrong.append(f"Thread {thread['id']} is {thread['status']} instead of {waits}")
    elif story.kind == "cancelled" or story.kind.startswith("crowd"):
        # Each attempt has a higher epoch of the thread than whatever was executed there before.
        in_order = sorted(rows.values(), key=lambda row: row["epoch"])
        right = in_turn(values.get("log") or [], in_order)
        wrong += overtaken(in_order) if story.strategy == "enqueue" else []
    else:
        right = is_right(first.order, values)
    if not right:
        wrong.append(f"Thread {thread['id']} of {[*rows]} has {values}")
    return wrong


def overtaken(in_order: Sequence[Row]) -> list[str]:
    """Runs of one thread that were executed before one that had come earlier."""
    return [
        f"Run {earlier['id']} was executed before {later['id']}, which had come earlier"
        for earlier, later in combinations(in_order, 2)
        # An id is made when the run is admitted; it may have come, and waited for the database, some time before.
        if earlier["created_at"] - later["created_at"] > SAME_TIME and later["id"] < earlier["id"]
    ]


def may_vanish(story: Story, creation: Creation) -> bool:
    """A run that was rolled back is gone; the last one of its thread has nobody who would."""
    return creation.cancelled == "rollback" or story.strategy == "rollback"


def may_end(story: Story, creation: Creation) -> set[str]:
    if creation.order.graph == "failing":
        return {"error"}
    if story.strategy == "interrupt" or creation.cancelled == "interrupt":
        return {"success", "interrupted"}
    return {"success"}


def in_turn(log: list[str], rows: Sequence[Row]) -> bool:
    """Whether a shared thread's log is each run's work, one after the other; complete if the run succeeded."""
    place = 0
    for row in rows:
        whole = work_of(row["metadata"]["key"], STEPS)
        done = 0
        while place + done < len(log) and done < len(whole) and log[place + done] == whole[done]:
            done += 1
        if row["status"] == "success" and done < len(whole):
            return False
        place += done
    return place == len(log)


# --- each run


def executions(creation: Creation, by_key: dict[str, list[Row]], found: Found) -> list[str]:
    """Steps that were executed more often than the ends of the run's attempts allow."""
    return [
        f"Run {row['id']} ({creation.order.graph}, {creation.order.durability}): {each}; {found.executed[row['id']]}"
        for row in by_key.get(creation.key, [])
        for each in too_often(
            creation.order.graph,
            found.executed.get(row["id"], []),
            durability=creation.order.durability,
        )
    ]


def read(reading: Reading, run: Row | None, found: Found) -> list[str]:
    """A reader had each event once and in order, everything that the log has, and nothing else of the last attempt."""
    wrong = [f"{later} after {earlier}" for earlier, later in pairwise(reading.ids) if earlier >= later]
    # What is there for the other protocol, no reader of a run's stream has.
    events = [row for row in found.events.get(reading.run_id, []) if row["event"] != "+"]
    if run is not None and run["status"] in TERMINAL and reading.complete:
        log = {(row["epoch"], row["seq"]) for row in events}
        if missed := log - set(reading.ids):
            wrong.append(f"never saw {sorted(missed)}")
        # What a reader was shown just before a loss may not have reached the log. A run that was cancelled while it waited
        # to go on, and so has no count of its events, had its last attempt lost.
        last = max((epoch for epoch, _ in log), default=0) if run["event_count"] else run["epoch"] + 1
        if invented := {each for each in reading.ids if each not in log and each[0] >= last}:
            wrong.append(f"saw {sorted(invented)}, which the log does not have")
        if run["attempt"] == 1 and reading.texts and run["status"] == "success":
            expected = text_of_run(run)
            if list(reading.texts.values()) != [expected]:
                wrong.append(f"read {reading.texts} instead of {expected!r}")
    return [f"A reader of run {reading.run_id}: {each}" for each in wrong]


def text_of_run(run: Row) -> str:
    from tests.chaos.shapes import Order

    return text_of(Order("talking", "", 0.0, tokens=decoded(run["kwargs"])["input"]["tokens"]))
