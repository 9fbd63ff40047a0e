"""Races: inputs, cancels, ends, takeovers, and deletions of threads."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.processes.databases import Row
from tests.processes.faults import SERVE, SERVE_ONLY, front, stop
from tests.processes.harness import STEPS, TERMINAL, Process, Site, eventually, free_port
from tests.processes.invariants import sound
from tests.processes.readers import RawReader

STRATEGIES = ["enqueue", "reject", "interrupt", "rollback"]
ROUNDS = 8


def two_servers(site: Site) -> list[Process]:
    """Two processes that serve; both execute runs if the database allows it."""
    if "DATABASE_URL" in site.database.settings:
        return site.several(2, *SERVE)
    return [site.start(), site.start(*SERVE_ONLY, port=free_port())]


def at_once(*calls: Any) -> list[Any]:
    """Call all of them at once, each in a thread; return their results or exceptions."""
    barrier = threading.Barrier(len(calls))

    def call(function: Any) -> Any:
        barrier.wait(10)
        try:
            return function()
        except (ConflictError, NotFoundError) as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def rows_of(site: Site, thread_id: str) -> list[Row]:
    rows = site.database.rows("SELECT * FROM runs_run ORDER BY created_at, id")
    return [row for row in rows if row["thread_id"] == thread_id]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_texts_at_once_end_as_if_one_came_after_the_other(site: Site, strategy: str) -> None:
    servers = two_servers(site)
    clients = [site.client(server) for server in servers]
    threads = [clients[0].threads.create()["thread_id"] for _ in range(ROUNDS)]
    tally: Counter[str] = Counter()
    for thread_id in threads:
        created = at_once(
            *(
                partial(
                    site.create,
                    name,
                    {"delay": 0.3},
                    thread=thread_id,
                    multitask_strategy=strategy,
                    process=server,
                )
                for server, name in zip(servers, ("sleeping", "parallel"), strict=True)
            )
        )
        runs = [each for each in created if isinstance(each, dict)]
        active = [row for row in rows_of(site, thread_id) if row["status"] == "running"]
        assert len(active) <= 1
        assert len(runs) == (1 if strategy == "reject" else 2), created
        eventually(lambda t=thread_id: all(row["status"] in TERMINAL for row in rows_of(site, t)))
        rows = rows_of(site, thread_id)
        tally.update(row["status"] for row in rows)
        assert rows[0]["status"] == "success" or rows[-1]["status"] == "success"
        log = site.values(runs[0])["log"]
        if strategy == "enqueue":
            assert sorted(log) == ["a", "b1", "b2", "c", "sleep"]
            assert log in (["sleep", "a", "b1", "b2", "c"], ["a", "b1", "b2", "c", "sleep"])
        elif strategy == "rollback":
            assert log in (["sleep"], ["a", "b1", "b2", "c"])
    if strategy in ("enqueue", "reject", "rollback"):
        assert set(tally) == {"success"}
        assert tally["success"] == ROUNDS * (2 if strategy == "enqueue" else 1)
    stop(*servers)
    sound(site)


def cancel(site: Site, run: Row, server: Process, action: str = "interrupt") -> str:
    """Cancel a run; return the result."""
    url = f"{server.url}/threads/{run['thread_id']}/runs/{run['run_id']}/cancel?wait=1&action={action}"
    status = httpx.post(url, timeout=30).status_code
    return {200: "cancelled", 404: "too late"}.get(status, f"status {status}")


def test_a_cancel_that_meets_the_end_of_its_run_has_one_winner(site: Site) -> None:
    """200 short runs, each cancelled at some point by another process."""
    server, other = two_servers(site)
    site.client(server), site.client(other)
    chance = random.Random(0)
    began = [(chance.uniform(0, 0.4), chance.uniform(0, 0.3)) for _ in range(200)]

    def race(delays: tuple[float, float]) -> tuple[Row, str]:
        run = site.create("sleeping", {"delay": delays[0]}, process=server)
        threading.Event().wait(delays[1])
        return run, cancel(site, run, other)

    with ThreadPoolExecutor(8) as pool:
        raced = list(pool.map(race, began))
    outcomes: Counter[tuple[str, str]] = Counter()
    for run, answer in raced:
        row = site.finish(run)
        outcomes[answer, row["status"]] += 1
        assert site.executions(run)["sleep"] <= 1
        log = (site.values(run) or {}).get("log", [])
        assert log == (["sleep"] if row["status"] == "success" else log)
    print(outcomes)
    assert set(outcomes) <= {
        ("cancelled", "interrupted"),
        ("cancelled", "success"),  # its last step was done when the cancel came
        ("too late", "success"),
    }
    assert outcomes["cancelled", "interrupted"] > 10
    assert outcomes["too late", "success"] + outcomes["cancelled", "success"] > 10
    stop(server, other)
    sound(site)


def test_of_two_cancels_at_once_the_first_decides(site: Site) -> None:
    server, other = two_servers(site)
    outcomes: Counter[str] = Counter()
    for _ in range(10):
        earlier = site.create("steps", process=server)
        site.finish(earlier)
        run = site.create("gated", thread=earlier["thread_id"], process=server)
        site.executing(run, "gate")
        at_once(
            lambda run=run: cancel(site, run, server, "interrupt"),
            lambda run=run: cancel(site, run, other, "rollback"),
        )
        rows = {row["id"]: row["status"] for row in rows_of(site, run["thread_id"])}
        status = rows.get(run["run_id"], "rolled back")
        outcomes[status] += 1
        assert status in ("interrupted", "rolled back")
        log = site.client(server).threads.get_state(run["thread_id"])["values"]["log"]
        assert log == (STEPS if status == "rolled back" else [*STEPS, "before"])
        again = site.create("steps", thread=run["thread_id"], process=other)
        assert site.finish(again)["status"] == "success"
    stop(server, other)
    sound(site)


@pytest.mark.postgresql
@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_cancel_that_meets_a_takeover_is_kept_by_whoever_has_the_run(
    site: Site, cancel_first: bool
) -> None:
    serving, doomed = front(site), site.worker()
    runs = [site.create("gated", process=serving) for _ in range(8)]
    for run in runs:
        site.executing(run, "gate")
    readers = [RawReader(site, run, process=serving) for run in runs]
    other = site.worker()

    def ask() -> list[str]:
        return [cancel_later(site, run, serving) for run in runs]

    if cancel_first:
        doomed.pause()  # it no longer receives the cancel
        assert ask() == ["accepted"] * len(runs)
        doomed.kill()
    else:
        at_once(doomed.kill, ask)
    for run, reader in zip(runs, readers, strict=True):
        row = site.finish(run)
        assert row["status"] == "interrupted"
        assert site.executions(run)["after"] == 0
        reader.join(20)
        assert reader.end == "ended"
    stop(serving, other)
    sound(site)


def cancel_later(site: Site, run: Row, server: Process) -> str:
    """Ask for a cancel, without waiting for it."""
    site.client(server).runs.cancel(run["thread_id"], run["run_id"])
    return "accepted"


# A run whose thread is deleted


def remove(site: Site, run: Row, *tables: str) -> None:
    """Delete a run's rows with plain SQL, like a manual cleanup; its thread only if it is named."""
    ids = {"runs_run": "thread_id", "threads_thread": "id"}
    thread = run["thread_id"]
    if "DATABASE_URL" not in site.database.settings:
        thread = thread.replace("-", "")
    for table in tables:
        site.database.execute(f"DELETE FROM {table} WHERE {ids[table]} = '{thread}'")


def traces(site: Site, run: Row) -> list[Any]:
    """The remaining rows of a run or its thread."""
    rows: list[Any] = [
        row for row in site.database.rows("SELECT * FROM runs_run") if row["id"] == run["run_id"]
    ]
    rows += [
        row for row in site.database.rows("SELECT * FROM threads_thread") if row["id"] == run["thread_id"]
    ]
    return rows


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_a_run_whose_thread_is_deleted_ends_and_brings_nothing_back(site: Site, durability: str) -> None:
    site.start()
    run = site.create("steps", {"delay": 0.3}, durability=durability)
    beside = site.create("gated")
    reader = RawReader(site, run)
    site.executing(run, "s2")
    remove(site, run, "runs_run", "threads_thread")
    eventually(lambda: f"Run {run['run_id']} was taken over or deleted" in site.output)
    reader.join(20)
    assert reader.end == "ended"
    begun = site.executed(run)
    assert len(begun) < len(STEPS), "it ended when its rows were deleted"
    checkpoints = [each for each in site.database.checkpoints() if each["thread_id"] == run["thread_id"]]
    site.open_gate()
    assert site.finish(beside)["status"] == "success"
    assert traces(site, run) == []
    assert site.executed(run) == begun
    assert checkpoints == [
        each for each in site.database.checkpoints() if each["thread_id"] == run["thread_id"]
    ], "nothing was added after the end"
    with pytest.raises(NotFoundError):
        site.client().threads.get(run["thread_id"])
    # The log has no foreign key: `prune` removes rows that were written during the deletion.
    site.database.execute("DELETE FROM runs_runevent WHERE run_id NOT IN (SELECT id FROM runs_run)")
    assert site.process.stop() == 0
    sound(site)


def test_a_run_that_is_deleted_while_it_runs_is_refused_or_gone(site: Site) -> None:
    site.start()
    run = site.create("steps", {"delay": 0.2})
    site.executing(run, "s2")
    try:
        site.client().runs.delete(run["thread_id"], run["run_id"])
    except ConflictError:
        assert site.finish(run)["status"] == "success"
    else:
        eventually(lambda: not site.events(run))
        assert [row for row in traces(site, run) if row["id"] == run["run_id"]] == []
        assert len(site.executed(run)) < len(STEPS)
    again = site.create("steps", thread=run["thread_id"])
    assert site.finish(again)["status"] == "success"
    assert site.process.stop() == 0
    sound(site)
