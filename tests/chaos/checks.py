"""What must be true at the end of every row, reader and execution. Pure, except for its input.

Each check returns all violations as sentences.
"""

from __future__ import annotations

import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import combinations

from tests.chaos.found import Found
from tests.chaos.ledger import CREATED, Creation, Ledger, Story
from tests.chaos.reading_checks import bulks, contradictions, read
from tests.chaos.shapes import STEPS, is_right, too_often, work_of
from tests.chaos.walks import after_deletion, owned, walked
from tests.processes import invariants
from tests.processes.databases import Row
from tests.processes.harness import TERMINAL

#: Runs that reached two processes within this time have no order.
SAME_TIME = timedelta(seconds=0.5)
#: The most characters of a wrong thread's values in a message.
WIDTH = 1500


def check(found: Found, ledger: Ledger) -> list[str]:
    """All violations."""
    by_id = {run["id"]: run for run in found.runs}
    by_key: dict[str, list[Row]] = defaultdict(list)
    for run in found.runs:
        by_key[run["metadata"]["key"]].append(run)
    wrong = [*doubled(by_key), *unknown(by_key, ledger), *sound(found, ledger)]
    for story in ledger.stories:
        wrong += [f"{story.kind}: {each}" for each in story_of(story, by_key, found)]
        wrong += owned(story, found)
    for creation in ledger.creations():
        wrong += executions(creation, by_key, found)
    for reading in ledger.readings:
        read_run = by_id.get(reading.run_id)
        if read_run is not None and found.threads.get(read_run["thread_id"], {}).get("discarded_at"):
            # The run is hidden, and the sweep removes its events first.
            read_run = None
        wrong += read(reading, read_run, found)
    return [*wrong, *contradictions(ledger), *bulks(ledger)]


# --- over the whole database


def doubled(by_key: dict[str, list[Row]]) -> list[str]:
    return [f"{key} was created {len(rows)} times" for key, rows in by_key.items() if len(rows) > 1]


def unknown(by_key: dict[str, list[Row]], ledger: Ledger) -> list[str]:
    asked = {creation.key for creation in ledger.creations()}
    return [f"Nobody asked for the run of {key}" for key in by_key if key not in asked]


def sound(found: Found, ledger: Ledger) -> list[str]:
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
        if thread.get("discarded_at"):
            # Deleted; the sweep removes its rows.
            continue
        runs = of_thread[thread_id]
        holds(
            lambda runs=runs, thread=thread: invariants.statuses(runs, {thread["id"]: thread}, waiting=0),
            f"Thread {thread_id}",
        )
        for run in runs:
            events = found.events.get(run["id"], [])
            holds(lambda run=run, events=events: invariants.log_of_run(run, events), f"Run {run['id']}")
    forks = {story.thread_id: story.forks for story in ledger.stories}
    checkpoints: dict[str, list[Row]] = defaultdict(list)
    for each in found.checkpoints:
        checkpoints[each["thread_id"]].append(each)
    for thread_id, history in checkpoints.items():
        kept = without_forks(history, forks.get(thread_id, {}))
        holds(lambda kept=kept: invariants.history(kept), f"Checkpoints of thread {thread_id}")
    return wrong + outlived(found)


def outlived(found: Found) -> list[str]:
    """Rows whose thread or run is gone."""
    runs = {run["id"]: run["thread_id"] for run in found.runs}
    wrong = [f"Run {run_id} is gone, and its events are not" for run_id in set(found.events) - set(runs)]
    threads = (found.stored | set(runs.values())) - set(found.threads)
    return wrong + [f"Thread {thread_id} is gone, and its rows are not" for thread_id in threads]


def without_forks(history: Sequence[Row], forks: Mapping[str, int]) -> list[Row]:
    """A thread's checkpoints without the forks that clients asked for."""
    left, kept = Counter(forks), []
    for each in reversed(history):
        if not each["ns"] and left[each["parent"]] > 0:
            left[each["parent"]] -= 1
        else:
            kept.append(each)
    return kept[::-1]


# --- the expectations of each script


def story_of(story: Story, by_key: dict[str, list[Row]], found: Found) -> list[str]:
    """Violations of one thread's runs, and of their results."""
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
        # The thread's values follow from that.
        return wrong
    thread = found.threads.get(story.thread_id)
    if thread is None:
        return wrong
    values, first = thread["values"] or {}, story.creations[0]
    if story.kind == "deleted run":
        right = after_deletion(values.get("log") or [], story, rows)
    elif story.kind == "deleted thread":
        right = bool(thread.get("discarded_at")) or not story.deletion
    elif story.kind == "cancelled" or story.kind.startswith("crowd"):
        # Each attempt has a higher epoch than all earlier attempts on the thread.
        in_order = sorted(rows.values(), key=lambda row: row["epoch"])
        right = in_turn(values.get("log") or [], in_order)
        wrong += overtaken(in_order) if story.strategy == "enqueue" else []
    elif first.adds is None:
        right = is_right(first.order, values)
    else:
        return wrong + walked(story, set(rows), thread)
    if not right:
        wrong.append(f"Thread {thread['id']} of {[*rows]} has {values}"[:WIDTH])
    return wrong


def overtaken(in_order: Sequence[Row]) -> list[str]:
    """Runs of one thread that were executed before an earlier run."""
    return [
        f"Run {earlier['id']} was executed before {later['id']}, which had come earlier"
        for earlier, later in combinations(in_order, 2)
        # An id is created at admission; the request may have arrived, and waited for the database, some time
        # before.
        if earlier["created_at"] - later["created_at"] > SAME_TIME and later["id"] < earlier["id"]
    ]


def may_vanish(story: Story, creation: Creation) -> bool:
    """Runs that were rolled back or deleted are gone.

    No later run could roll back a thread's last one.
    """
    return creation.deleted or creation.cancelled == "rollback" or story.strategy == "rollback"


def may_end(story: Story, creation: Creation) -> set[str]:
    if creation.order.graph == "failing":
        return {"error"}
    if creation.deleted:
        return TERMINAL
    if story.strategy == "interrupt" or creation.cancelled == "interrupt":
        return {"success", "interrupted"}
    return {"success"}


def in_turn(log: list[str], rows: Sequence[Row]) -> bool:
    """Whether a shared thread's log has the work of each run in turn.

    Complete if the run succeeded.
    """
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
    """Steps of other runs, or already saved, that a run executed; and steps that it left out."""
    graph, durability = creation.order.graph, creation.order.durability
    wrong: list[str] = []
    for row in by_key.get(creation.key, []):
        executed = found.executed.get(row["id"], [])
        names = {name for _, name in executed}
        said = too_often(graph, executed, durability=durability)
        if foreign := names - set(creation.steps):
            said.append(f"{sorted(foreign)} was not this run's to execute")
        if row["status"] == "success" and (left := set(creation.steps) - names):
            said.append(f"{sorted(left)} was never executed")
        wrong += [f"Run {row['id']} ({graph}, {durability}): {each}; {executed}" for each in said]
    return wrong
