"""The log of a thread, across its runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest

from runs.events.table import START
from runs.events.thread_log import RUN_DONE, STATE_EDITED, Entry, follow_thread, turns_after
from runs.lifecycle.cancellation import cancel_run
from runs.models import Run
from tests.support.driving import Driver
from threads.db import clock
from threads.db.database import in_database
from threads.models import StateEdit, Thread


async def entries(thread_id: UUID, after: tuple[int, int] | None, *, ends: int) -> list[Entry]:
    """A thread's entries until this many of its runs have ended."""
    found: list[Entry] = []
    async with asyncio.timeout(20), aclosing(follow_thread(thread_id, after)) as batches:
        async for batch in batches:
            found += batch
            if sum(entry.event.name == RUN_DONE for entry in found) >= ends:
                break
    return found


async def test_the_runs_of_a_thread_follow_one_another_in_one_order(driver: Driver) -> None:
    first = await driver.start("steps")
    second = await driver.start("questions", thread=first.thread_id)
    found = await entries(first.thread_id, START, ends=2)
    positions = [entry.position for entry in found]
    assert positions == sorted(set(positions))
    for run in (first, second):
        of_run = [entry.event for entry in found if entry.run_id == run.id]
        assert of_run[:-1] == await driver.events(run)
        assert (of_run[0].name, of_run[-1].name) == ("metadata", RUN_DONE)
        assert '"status":"success"' in of_run[-1].data
    assert [entry.run_id for entry in found] == sorted(
        (entry.run_id for entry in found), key=[first.id, second.id].index
    )


async def test_from_each_position_the_rest_follows_without_a_gap_or_a_repeat(driver: Driver) -> None:
    first = await driver.start("nested")
    await driver.finish(first)
    second = await driver.start("nested", thread=first.thread_id)
    every = await entries(first.thread_id, START, ends=2)
    for number in range(0, len(every) - 1, 3):
        ends = sum(entry.event.name == RUN_DONE for entry in every[number + 1 :])
        assert await entries(first.thread_id, every[number].position, ends=ends) == every[number + 1 :]
    assert every[-1].run_id == second.id


async def test_a_reader_from_now_on_meets_later_runs_alone(driver: Driver) -> None:
    first = await driver.finish(await driver.start("steps"))
    stream = follow_thread(first.thread_id, None)
    assert await anext(stream) == []
    waiting: Any = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    second = await driver.start("steps", thread=first.thread_id)
    async with asyncio.timeout(20), aclosing(stream):
        batch = await waiting
        assert {entry.run_id for entry in batch} == {second.id}
        assert next(entry.event.name for entry in batch if entry.event.name != "+") == "metadata"


async def test_a_reader_who_comes_while_a_run_executes_gets_what_follows(driver: Driver) -> None:
    run = await driver.start("sleeping", {"log": [], "delay": 0.3})
    await driver.executing(run, "sleep")
    found = await entries(run.thread_id, None, ends=1)
    assert found[0].event.name != "metadata"
    assert [entry.event for entry in found[:-1]] == [event async for event in rest_of(driver, run, found)]


async def rest_of(driver: Driver, run: Run, found: list[Entry]) -> AsyncIterator[Any]:
    for event in await driver.events(run):
        if event.position >= found[0].position:
            yield event


async def test_a_run_that_never_began_leaves_nothing_and_holds_nobody_up(driver: Driver) -> None:
    first = await driver.finish(await driver.start("steps"))
    pending = await driver.start("steps", thread=first.thread_id, after_seconds=100.0)
    await cancel_run(pending.id, thread_id=first.thread_id, principal=driver.principal, action="interrupt")
    third = await driver.start("steps", thread=first.thread_id)
    found = await entries(first.thread_id, START, ends=2)
    assert {entry.run_id for entry in found} == {first.id, third.id}


async def test_a_run_that_ended_while_it_waited_takes_nothing_from_the_one_that_it_waited_for(
    driver: Driver,
) -> None:
    waiting = await driver.start("steps", after_seconds=100.0)
    first = await driver.finish(await driver.start("steps", thread=waiting.thread_id))
    await cancel_run(waiting.id, thread_id=first.thread_id, principal=driver.principal, action="interrupt")
    assert (await driver.row(waiting)).epoch == first.epoch
    # If two turns shared an epoch, the first one's end would hide the beginning of the other.
    turns = await in_database(turns_after, first.thread_id, START)
    assert [turn.run_id for turn in turns] == [first.id]


async def test_a_run_that_ended_before_anything_began_leaves_nothing_either(driver: Driver) -> None:
    waiting = await driver.start("steps", after_seconds=100.0)
    await cancel_run(waiting.id, thread_id=waiting.thread_id, principal=driver.principal, action="interrupt")
    first = await driver.start("steps", thread=waiting.thread_id)
    found = await entries(first.thread_id, START, ends=1)
    assert {entry.run_id for entry in found} == {first.id}


async def test_an_edit_has_its_place_between_runs(driver: Driver) -> None:
    first = await driver.finish(await driver.start("steps"))
    await in_database(edit, first.thread_id)
    second = await driver.start("steps", thread=first.thread_id)
    found = await entries(first.thread_id, START, ends=2)
    names = [(entry.run_id, entry.event.name) for entry in found]
    assert names.index((None, STATE_EDITED)) == names.index((first.id, RUN_DONE)) + 1
    at = names.index((None, STATE_EDITED))
    assert names[at + 1] == (second.id, "metadata")
    again = await entries(first.thread_id, found[at].position, ends=1)
    assert again == found[at + 1 :]


def edit(thread_id: UUID) -> None:
    thread = Thread.objects.get(id=thread_id)
    thread.epoch += 1
    thread.save(update_fields=["epoch"])
    StateEdit.objects.create(thread=thread, epoch=thread.epoch, checkpoint_id="x", created_at=clock.now())


async def test_the_log_ends_with_its_thread(driver: Driver) -> None:
    run = await driver.finish(await driver.start("steps"))
    async with asyncio.timeout(20):
        stream = follow_thread(run.thread_id, START)
        async for batch in stream:
            if batch and batch[-1].event.name == RUN_DONE:
                await in_database(Thread.objects.filter(id=run.thread_id).update, discarded_at=clock.now())
                driver.runtime.wakeups.ring(run.thread_id)


async def test_a_quiet_thread_has_empty_batches_for_heartbeats(driver: Driver, run_settings: Any) -> None:
    run_settings(STREAM_HEARTBEAT=0.05)
    run = await driver.finish(await driver.start("steps"))
    async with asyncio.timeout(20), aclosing(follow_thread(run.thread_id, None)) as batches:
        assert [await anext(batches), await anext(batches)] == [[], []]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_run_whose_events_were_removed_has_its_end_still(driver: Driver, kept: bool) -> None:
    run = await driver.finish(await driver.start("steps"))
    every = await entries(run.thread_id, START, ends=1)
    if not kept:
        await in_database(run.events.all().delete)
    found = await entries(run.thread_id, START, ends=1)
    assert found == (every if kept else every[-1:])
