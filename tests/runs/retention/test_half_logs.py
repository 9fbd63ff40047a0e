"""While a log is removed in steps, each reader gets all of it or nothing, or is told that it is removed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from runs.agents import reading
from runs.api.responses.following import event_chunks, prime
from runs.api.routes.thread_stream import RUN_MODES, ThreadReader
from runs.deletion import Step
from runs.events import table, thread_log
from runs.events.agent_stream import AgentStream
from runs.events.table import START, Event, Position
from runs.exceptions import LogRemoved
from runs.lifecycle import cancellation
from runs.lifecycle.operators.transfers import exported
from runs.models import Run, RunEvent
from runs.protocols.sse import Projection
from runs.retention.old_runs import old_events, old_runs
from tests.support.driving import Driver, User
from tests.support.retention import DAY, quiet
from tests.support.rows import make_events, make_run, make_thread
from threads.db import clock
from threads.db.database import in_database

__all__ = ["quiet"]

#: How many events a run has, and each transaction of a removal takes.
EVENTS, ROWS = 8, 3
MIDDLE: Position = (1, 3)
EVERY = [f"1-{number}" for number in range(1, EVENTS + 1)]
REST = EVERY[3:]
GONE = "The events of this run are no longer kept."
#: What a reader got: the ids of events, and whether it was told that they are removed.
Seen = tuple[list[str], bool]
Reader = Callable[[Driver, Run, Position], Awaitable[Seen]]


def ended_run() -> Run:
    """A run that ended long ago, followed by another one on its thread, which stays."""
    thread = make_thread(epoch=2)
    run = make_run("success", thread=thread, age=40 * DAY, event_count=EVENTS, epoch=1)
    run.kwargs = {"stream_mode": ["values", "custom"]}
    run.save()
    names = ["metadata", *["values"] * (EVENTS - 1)]
    RunEvent.objects.bulk_create(
        RunEvent(run=run, epoch=1, seq=number, event=name, data="{}", created_at=clock.now())
        for number, name in enumerate(names, start=1)
    )
    make_run("success", thread=thread, epoch=2)
    return run


def removal(kind: str) -> Iterator[Step]:
    before = clock.now() - timedelta(days=30)
    return old_events(before, rows=ROWS) if kind == "events" else old_runs(before, rows=ROWS)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "READ", table.READ.replace(f"LIMIT {table.READ_EVENTS}", "LIMIT 2"))


# --- the readers


async def over_sse(driver: Driver, run: Run, after: Position) -> Seen:
    wire = b""
    async for chunk in event_chunks(run.id, after, Projection(["values"], subgraphs=False)):
        wire += chunk
    ids = [line[4:] for line in wire.decode().splitlines() if line.startswith("id: ")]
    assert ("event: error" in wire.decode()) == (GONE in wire.decode())
    return ids, GONE in wire.decode()


async def in_python(driver: Driver, run: Run, after: Position) -> Seen:
    def read() -> Seen:
        position = f"{after[0]}-{after[1]}" if after != START else "-1"
        found: list[str] = []
        parts = reading.stream(run.id, user=run.user, after=position, modes=["values"])
        with suppress(LogRemoved):
            found.extend(part.id for part in parts)
            return found, False
        return found, True

    return await in_database(read)


async def by_the_tail(driver: Driver, run: Run, after: Position) -> Seen:
    def read() -> Seen:
        out, err = StringIO(), StringIO()
        since, why = f"--since={after[0]}-{after[1]}", ""
        try:
            call_command("agents", "runs", "tail", str(run.id), since, "--json", stdout=out, stderr=err)
        except CommandError as error:
            why = str(error)
        ids = [json.loads(line)["id"] for line in out.getvalue().splitlines()]
        return ids, GONE in why + err.getvalue()

    return await in_database(read)


async def on_the_thread(driver: Driver, run: Run, after: Position) -> Seen:
    """The thread's stream; its `run_done` has one id, whatever was removed."""
    found: list[str] = []
    told = False
    async with aclosing(thread_log.follow_thread(run.thread_id, after)) as batches:
        async for batch in batches:
            for entry in batch:
                if entry.run_id != run.id:
                    return found, told
                if entry.event.name == thread_log.RUN_DONE:
                    assert entry.position == (1, EVENTS + 1)
                    return found, told
                if entry.event.name == "error":
                    assert GONE in entry.event.data
                    told = True
                else:
                    found.append(entry.event.id)
    raise AssertionError("The thread's stream has ended.")


async def as_a_file(driver: Driver, run: Run, after: Position) -> Seen:
    lines = [json.loads(line) for line in await in_database(lambda: list(exported(run)))]
    ids = [line["id"] for line in lines if line["type"] == "event"]
    return ids[after[1] :], lines[-1] == {"type": "removed", "message": GONE}


READERS = [over_sse, in_python, by_the_tail, on_the_thread, as_a_file]


@pytest.mark.parametrize("kind", ["events", "runs"])
@pytest.mark.parametrize("reader", READERS)
async def test_a_log_is_never_shown_by_half(quiet: Any, driver: Driver, reader: Reader, kind: str) -> None:
    run = await in_database(ended_run)
    for after, every in ((START, EVERY), (MIDDLE, REST)):
        assert await reader(driver, run, after) == (every, False)
    steps, lefts = removal(kind), []
    while await in_database(next, steps, None) is not None:
        if not await in_database(Run.objects.filter(id=run.id).exists):
            break
        lefts.append(await in_database(RunEvent.objects.filter(run_id=run.id).count))
        found, told = await reader(driver, run, START)
        assert told or not found, f"{found} of {lefts[-1]}"
        found, told = await reader(driver, run, MIDDLE)
        assert told, f"{found} of {lefts[-1]}"
    assert lefts[:3] == [5, 2, 0]
    # A reader that has everything is told nothing.
    assert await over_sse(driver, run, (1, EVENTS)) == ([], False)


# --- readers that began before


@pytest.mark.parametrize("removed", ["begun", "whole"])
async def test_a_reader_that_has_begun_is_told(
    quiet: Any, driver: Driver, small_batches: None, removed: str
) -> None:
    """Also if the run is gone with its events when the reader comes back."""
    run = await in_database(ended_run)
    steps = removal("runs")
    follow = driver.runtime.hub.follow(run.id, START)
    begun = [event.id for event in await anext(follow)]
    assert begun == EVERY[:2]
    chunks = event_chunks(run.id, START, Projection(["values"], subgraphs=False))
    wire = await anext(chunks)
    thread = thread_log.follow_thread(run.thread_id, START)
    entries = list(await anext(thread))
    told = AgentStream(run.thread_id, principal=User(run.user_id)).follow()
    events = list(await anext(told))
    if removed == "begun":
        await in_database(next, steps)
    else:
        await in_database(lambda: list(steps))
        assert not await in_database(Run.objects.filter(id=run.id).exists)
    with pytest.raises(LogRemoved):
        await anext(follow)
    async for chunk in chunks:
        wire += chunk
    assert wire.decode().count("id: ") == 2
    assert GONE in wire.decode()
    while entries[-1].event.name != thread_log.RUN_DONE:
        entries += await anext(thread)
    assert [entry.event.name for entry in entries] == ["metadata", "values", "error", "run_done"]
    assert GONE in entries[2].event.data
    await thread.aclose()
    while not any(event.ends for event in events):
        events += await anext(told)
    last = json.loads(events[-1].data)
    assert (last["event"], last["error"]) == ("failed", GONE)
    await told.aclose()


async def test_a_run_that_was_cancelled_between_attempts_has_a_whole_log_too(
    quiet: Any, driver: Driver
) -> None:
    def prepare() -> Run:
        run = make_run("pending", age=40 * DAY, thread=make_thread(epoch=2), attempt=1, epoch=1)
        make_events(run, EVENTS)
        cancellation.cancel(run.id, action="interrupt")
        Run.objects.filter(id=run.id).update(finished_at=run.created_at)
        return Run.objects.get(id=run.id)

    run = await in_database(prepare)
    assert run.event_count == EVENTS
    assert await over_sse(driver, run, MIDDLE) == (REST, False)
    await in_database(next, removal("events"))
    assert await over_sse(driver, run, MIDDLE) == ([], True)


async def test_a_reader_of_new_events_alone_is_told_nothing(quiet: Any, driver: Driver) -> None:
    run = await in_database(ended_run)
    await in_database(next, removal("events"))
    assert [batch async for batch in driver.runtime.hub.follow(run.id, None)] == []


async def test_what_is_told_in_pieces_is_not_told_without_its_beginning(quiet: Any, driver: Driver) -> None:
    """A reader in the middle of a run's messages needs the ones before, which removal may take first."""
    run = await in_database(ended_run)
    run.kwargs = {"stream_mode": ["messages"]}
    await in_database(run.save)
    await in_database(next, removal("events"))
    with pytest.raises(LogRemoved):
        await prime(Projection(["messages"], subgraphs=False), run.id, before=(1, 5))
    thread = await driver.thread(run)
    reader = ThreadReader(thread, [RUN_MODES], open_graph=lambda: pytest.fail("No state is read."))  # type: ignore[arg-type]
    entry = thread_log.Entry(run.id, Event(1, 5, "messages", "[{}, {}]"))
    assert GONE in (await reader.frames(entry)).decode()
    assert await reader.frames(entry) == b""
