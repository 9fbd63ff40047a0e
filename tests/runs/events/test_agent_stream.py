"""A thread's stream: its runs' events in one order, under numbers that only grow."""

from __future__ import annotations

import asyncio

from django.db.models import F

from runs.events.agent_stream import AgentStream
from runs.events.agent_stream_runs import runs_of
from runs.lifecycle.cancellation import cancel_run
from runs.models import Run
from runs.protocols.agent.events import ProtocolEvent, epoch_of
from tests.support.driving import Driver
from threads.db.database import in_database


async def told(driver: Driver, run: Run, *, since: int = 0) -> list[ProtocolEvent]:
    stream = AgentStream(run.thread_id, principal=driver.principal, since=since)
    return [event async for batch in stream.read() for event in batch]


async def test_a_run_that_ended_while_another_one_was_between_attempts_comes_after_it(driver: Driver) -> None:
    waiting = await driver.start("steps", after_seconds=100.0)
    begun = await driver.start("sleeping", {"log": [], "delay": 0.5}, thread=waiting.thread_id)
    await driver.executing(begun, "sleep")
    await cancel_run(waiting.id, thread_id=waiting.thread_id, principal=driver.principal, action="interrupt")
    begun = await driver.finish(begun)
    before = await told(driver, begun)
    assert (await driver.row(waiting)).epoch == begun.epoch
    # As if its process had died then: it was requeued, claimed again, and has told nothing since.
    again = {"attempt": F("attempt") + 1, "epoch": F("epoch") + 2, "event_count": 0}
    await in_database(Run.objects.filter(id=begun.id).update, **again)
    after = await told(driver, begun)
    order = await in_database(runs_of, begun.thread_id, principal=driver.principal, epoch=0)
    assert [run.id for run in order] == [begun.id, waiting.id]
    numbers = [event.seq for event in after]
    assert numbers == sorted(set(numbers))
    assert [event.event_id for event in after] == [event.event_id for event in before]
    # A reader that has the first one's end still gets the other's.
    ends = [event for event in after if event.event_id.startswith(f"synth:{waiting.id}")]
    assert ends
    assert [event.seq for event in await told(driver, begun, since=ends[0].seq - 1)] == [
        event.seq for event in ends
    ]


async def test_who_follows_a_run_learns_of_the_one_that_waited_for_it_in_the_same_place(
    driver: Driver,
) -> None:
    waiting = await driver.start("steps", after_seconds=100.0)
    begun = await driver.start("sleeping", {"log": [], "delay": 0.5}, thread=waiting.thread_id)
    await driver.executing(begun, "sleep")
    await cancel_run(waiting.id, thread_id=waiting.thread_id, principal=driver.principal, action="interrupt")
    found: list[ProtocolEvent] = []
    following = AgentStream(begun.thread_id, principal=driver.principal).follow()
    async with asyncio.timeout(20):
        async for batch in following:
            found += batch
            if any(event.event_id == f"synth:{begun.id}:lc||completed" for event in batch):
                again = Run.objects.filter(id=begun.id)
                await in_database(again.update, attempt=F("attempt") + 1, epoch=F("epoch") + 2)
            if any(event.event_id.startswith(f"synth:{waiting.id}") for event in batch):
                break
        await following.aclose()  # type: ignore[attr-defined]
    assert epoch_of(found[-1].seq) == (await driver.row(begun)).epoch
    replayed = [event for event in await told(driver, begun) if str(waiting.id) in event.event_id]
    assert [event.seq for event in replayed] == [event.seq for event in found[-len(replayed) :]]


async def test_events_of_a_run_that_has_ended_are_dated_when_they_happened(driver: Driver) -> None:
    run = await driver.finish(await driver.start("sleeping", {"log": [], "delay": 0.05}))
    events = await told(driver, run)
    times = [event.timestamp for event in events]
    assert times == sorted(times)
    assert {event.method for event in events} >= {"checkpoints", "values", "lifecycle"}
    first, *_, last = [event.timestamp for event in events if event.method == "values"]
    assert last - first >= 50
