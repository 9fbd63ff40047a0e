"""Runs through admission, execution and settlement, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest

from runs.api.responses.results import wait_for_result
from runs.conf import settings
from runs.exceptions import InvalidRequest, NotFound, NothingToCancel, ThreadBusy
from runs.lifecycle.cancellation import cancel_run, delete_run
from runs.models import Run
from tests.support.driving import Driver, User
from threads.db.database import in_database
from threads.models import Thread


async def checkpoints(driver: Driver, run: Run) -> list[Any]:
    config: Any = {"configurable": {"thread_id": str(run.thread_id), "checkpoint_ns": ""}}
    return [found async for found in driver.runtime.storage.reader().alist(config)]


async def test_a_run_goes_from_pending_to_success_and_leaves_its_values(driver: Driver) -> None:
    run = await driver.start("steps")
    row = await driver.finish(run)
    assert (row.status, row.attempt, row.lost_attempts) == ("success", 1, 0)
    assert row.thread.status == "idle"
    assert row.thread.values == {"log": [f"s{number}" for number in range(10)]}
    assert orjson.loads(await wait_for_result(run.id)) == row.thread.values
    assert set(driver.executions(run).values()) == {1}


async def test_events_are_numbered_and_the_log_keeps_what_readers_saw(driver: Driver) -> None:
    run = await driver.start("parallel")
    live = await driver.events(run)
    replayed = await driver.events(run)
    assert live == replayed
    assert [event.seq for event in live] == list(range(1, len(live) + 1))
    assert live[0].name == "metadata"
    assert orjson.loads(live[0].data) == {"run_id": str(run.id), "attempt": 1}
    half = live[len(live) // 2]
    assert await driver.events(run, half.position) == live[half.seq :]


async def test_a_failing_graph_ends_in_error_with_its_event_last(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    run = await driver.start("failing")
    events = await driver.events(run)
    row = await driver.row(run)
    assert row.status == "error"
    assert row.thread.status == "error"
    assert row.thread.error == {"error": "ValueError", "message": "kaboom"}
    assert events[-1].name == "error"
    assert orjson.loads(events[-1].data) == row.thread.error
    assert orjson.loads(await wait_for_result(run.id)) == {"__error__": row.thread.error}
    assert str(run.id) in caplog.text
    assert "Traceback" in caplog.text


async def test_runs_of_a_thread_are_executed_one_after_the_other_in_their_order(driver: Driver) -> None:
    first = await driver.start("sleeping", {"log": [], "delay": 0.2})
    others = [await driver.start("sleeping", {"log": []}, thread=first.thread_id) for _ in range(3)]
    rows = [await driver.finish(run) for run in (first, *others)]
    assert [row.status for row in rows] == ["success"] * 4
    assert [row.epoch for row in rows] == [1, 2, 3, 4]
    assert rows[-1].thread.values["log"] == ["sleep"] * 4


async def test_reject_refuses_a_second_run_and_changes_nothing(driver: Driver) -> None:
    first = await driver.start("sleeping", {"log": [], "delay": 0.3})
    with pytest.raises(ThreadBusy):
        await driver.start("sleeping", thread=first.thread_id, multitask_strategy="reject")
    row = await driver.finish(first)
    assert row.thread.values["log"] == ["sleep"]
    assert await in_database(Run.objects.filter(thread=first.thread_id).count) == 1


async def test_interrupt_stops_the_first_run_and_keeps_its_checkpoints(driver: Driver) -> None:
    first = await driver.start("steps", {"log": ["one"], "delay": 0.1})
    await driver.executing(first, "s1")
    second = await driver.start("steps", {"log": ["two"], "delay": 0.0}, thread=first.thread_id,
                                multitask_strategy="interrupt")  # fmt: skip
    row = await driver.finish(second)
    assert (await driver.row(first)).status == "interrupted"
    assert row.status == "success"
    log = row.thread.values["log"]
    assert log[:2] == ["one", "s0"]
    assert log[log.index("two") :] == ["two", *(f"s{number}" for number in range(10))]


async def test_rollback_removes_the_first_run_and_what_it_wrote(driver: Driver) -> None:
    before = await driver.finish(await driver.start("parallel"))
    kept = [found.config for found in await checkpoints(driver, before)]
    first = await driver.start("steps", {"log": ["one"], "delay": 0.1}, thread=before.thread_id)
    await driver.executing(first, "s1")
    second = await driver.start(
        "parallel", {"log": ["two"]}, thread=before.thread_id, multitask_strategy="rollback"
    )
    row = await driver.finish(second)
    assert not await in_database(Run.objects.filter(id=first.id).exists)
    assert row.thread.values["log"] == ["a", "b1", "b2", "c", "two", "a", "b1", "b2", "c"]
    configs = [found.config for found in await checkpoints(driver, row)]
    assert configs[-len(kept) :] == kept
    runs = {found.metadata.get("run_id") for found in await checkpoints(driver, row)}
    assert runs == {str(before.id), str(second.id)}


async def test_answers_reach_the_questions_of_one_node_in_their_order(driver: Driver) -> None:
    asked = await driver.finish(await driver.start("questions"))
    question = asked.thread.interrupts
    run = await driver.resume("questions", "first answer", thread=asked.thread_id)
    second = await driver.finish(run)
    assert [each["value"] for found in second.thread.interrupts.values() for each in found] == [
        {"question": "second"}
    ]
    answered = await driver.resume("questions", "second answer", thread=asked.thread_id, durability="sync")
    third = await driver.finish(answered)
    assert third.thread.values["log"][-2:] == ["first=first answer", "second=second answer"]
    assert question != third.thread.interrupts


async def test_a_cancelled_resume_that_is_rolled_back_leaves_the_question_and_its_writes(
    driver: Driver,
) -> None:
    """The run ends after its answer landed but before its first checkpoint.

    The rollback must undo that write.
    """
    asked = await driver.finish(await driver.start("questions"))
    run = await driver.resume("questions", "x", thread=asked.thread_id)
    await driver.finish(run)  # stops at the second interrupt: its answer is a write on an existing checkpoint
    again = await driver.resume("questions", "y", thread=asked.thread_id)
    await driver.finish(again)
    row = await driver.row(again)
    assert row.base is not None
    storage = driver.runtime.storage
    before = await storage.snapshot_writes(run.thread_id)
    await storage.remove_run(again.thread_id, again.id, epoch=row.epoch, writes=row.base)
    after = await storage.snapshot_writes(run.thread_id)
    assert sorted(map(str, after)) == sorted(map(str, row.base))
    assert before != after


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_pending_run_is_cancelled_at_once(driver: Driver, action: str) -> None:
    first = await driver.start("sleeping", {"log": [], "delay": 0.4})
    waiting = await driver.start("sleeping", thread=first.thread_id)
    reader = asyncio.create_task(driver.events(waiting))
    await cancel_run(waiting.id, thread_id=first.thread_id, principal=driver.principal, action=action)
    assert await asyncio.wait_for(reader, 1) == []
    assert (await driver.row(first)).status == "running"
    found = await in_database(Run.objects.filter(id=waiting.id).values_list("status", flat=True).first)
    assert found == ("interrupted" if action == "interrupt" else None)
    row = await driver.finish(first)
    assert row.thread.status == "idle"


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_running_run_is_cancelled_within_a_second(driver: Driver, action: str) -> None:
    run = await driver.start("steps", {"log": [], "delay": 0.1})
    await driver.executing(run, "s2")
    loop = asyncio.get_running_loop()
    began = loop.time()
    await cancel_run(run.id, thread_id=run.thread_id, principal=driver.principal, action=action)
    events = await driver.events(run)
    assert loop.time() - began < 1
    assert "error" not in {event.name for event in events}
    thread = await driver.thread(run)
    if action == "interrupt":
        assert (await driver.row(run)).status == "interrupted"
        assert thread.status == "interrupted"
        assert thread.values["log"][:2] == ["s0", "s1"]
    else:
        assert not await in_database(Run.objects.filter(id=run.id).exists)
        assert thread.status == "idle"
        assert await checkpoints(driver, run) == []


async def test_a_finished_run_cannot_be_cancelled(driver: Driver) -> None:
    run = await driver.finish(await driver.start("sleeping"))
    with pytest.raises(NothingToCancel, match="No matching runs"):
        await cancel_run(run.id, thread_id=run.thread_id, principal=driver.principal, action="interrupt")
    with pytest.raises(NothingToCancel, match="No runs found"):
        await cancel_run(uuid4(), thread_id=run.thread_id, principal=driver.principal, action="interrupt")


async def test_a_node_that_ignores_its_cancellation_is_abandoned(driver: Driver, run_settings: Any) -> None:
    run_settings(CANCEL_GRACE=0.3)
    run = await driver.start("stubborn", {"log": [], "delay": 3.0})
    await driver.executing(run, "stay")
    await cancel_run(run.id, thread_id=run.thread_id, principal=driver.principal, action="interrupt")
    row = await asyncio.wait_for(driver.finish(run), 2)
    assert row.status == "interrupted"
    manager = driver.runtime.manager
    assert manager is not None
    assert manager.free == 100
    following = await driver.finish(await driver.start("sleeping", thread=run.thread_id))
    assert following.status == "success"
    assert "stay" not in following.thread.values["log"]


async def test_a_run_that_reaches_its_time_limit_ends_in_timeout(driver: Driver, run_settings: Any) -> None:
    run_settings(RUN_TIMEOUT=0.3)
    run = await driver.start("sleeping", {"log": [], "delay": 5.0})
    row = await driver.finish(run)
    assert row.status == "timeout"
    assert row.thread.status == "error"
    assert "limit" in row.error["message"]


async def test_a_run_waits_for_its_time(driver: Driver) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    run = await driver.start("sleeping", after_seconds=0.6)
    assert (await driver.thread(run)).status == "busy"
    assert (await driver.row(run)).status == "pending"
    row = await driver.finish(run)
    assert row.status == "success"
    assert loop.time() - began >= 0.6


@asynccontextmanager
async def nothing_claimed(driver: Driver, run_settings: Any) -> AsyncIterator[None]:
    """A block in which no run begins; those that it admits begin after it."""
    concurrency = settings.CONCURRENCY
    run_settings(CONCURRENCY=0)
    manager: Any = driver.runtime.manager
    async with asyncio.timeout(30):
        while manager.reserved:
            # A claim that began before still takes what it finds.
            await asyncio.sleep(0.002)
    yield
    run_settings(CONCURRENCY=concurrency)
    driver.runtime.work_added()


async def test_no_more_runs_are_executed_at_once_than_the_limit(driver: Driver, run_settings: Any) -> None:
    run_settings(CONCURRENCY=2)
    async with nothing_claimed(driver, run_settings):
        runs = [await driver.start("sleeping", {"log": [], "delay": 0.5}) for _ in range(5)]
    most = 0
    while True:
        statuses = await in_database(lambda: list(Run.objects.values_list("status", flat=True)))
        most = max(most, statuses.count("running"))
        if set(statuses) == {"success"}:
            break
        await asyncio.sleep(0.02)
    assert most == 2
    assert len(runs) == 5


async def test_a_static_breakpoint_stops_the_run_and_a_run_without_input_goes_on(driver: Driver) -> None:
    row = await driver.finish(await driver.start("parallel", interrupt_before=["c"]))
    assert (row.status, row.thread.status, row.thread.interrupts) == ("success", "interrupted", {})
    assert row.thread.values["log"] == ["a", "b1", "b2"]
    again = await driver.finish(await driver.go_on("parallel", thread=row.thread_id))
    assert (again.status, again.thread.status) == ("success", "idle")
    assert again.thread.values["log"] == ["a", "b1", "b2", "c"]


async def test_an_answer_reaches_only_the_question_that_waited_when_it_was_given(
    driver: Driver, run_settings: Any
) -> None:
    asked = await driver.finish(await driver.start("questions"))
    thread = asked.thread_id
    # Both are given while the first question waits.
    async with nothing_claimed(driver, run_settings):
        twice = [await driver.resume("questions", answer, thread=thread) for answer in ("A", "stale")]
    rows = [await driver.finish(run) for run in twice]
    assert [row.status for row in rows] == ["success", "success"]
    waiting = [each["value"] for found in rows[-1].thread.interrupts.values() for each in found]
    assert waiting == [{"question": "second"}]
    last = await driver.finish(await driver.resume("questions", "B", thread=thread))
    assert last.thread.values["log"][-2:] == ["first=A", "second=B"]


async def test_the_result_of_a_run_that_asks_has_its_question_while_it_runs_and_afterwards(
    driver: Driver,
) -> None:
    run = await driver.start("questions")
    live = orjson.loads(await wait_for_result(run.id))
    stored = orjson.loads(await wait_for_result(run.id))
    assert live == stored
    assert [each["value"] for each in live["__interrupt__"]] == [{"question": "first"}]


async def test_a_reader_sees_a_question_only_when_the_thread_has_it(driver: Driver) -> None:
    run = await driver.start("questions")
    async for event in driver.follow(run):
        if "__interrupt__" in event.data:
            thread = await driver.thread(run)
            assert thread.status == "interrupted"
            assert thread.interrupts
            break
    else:
        pytest.fail("The question was not streamed.")


async def test_an_answer_for_several_questions_must_name_them(driver: Driver) -> None:
    run = await driver.finish(await driver.start("questions"))
    questions = {"t1": [{"id": "0" * 32, "value": 1}], "t2": [{"id": "1" * 32, "value": 2}]}
    await in_database(Thread.objects.filter(id=run.thread_id).update, interrupts=questions)
    with pytest.raises(InvalidRequest, match="2 interrupts wait"):
        await driver.resume("questions", "yes", thread=run.thread_id)


async def test_what_is_not_there_or_not_yours_is_not_found(driver: Driver) -> None:
    run = await driver.finish(await driver.start("sleeping"))
    with pytest.raises(NotFound):
        await driver.start("sleeping", thread=uuid4())
    with pytest.raises(InvalidRequest, match="Invalid assistant: 'nope'"):
        await driver.start("nope")
    stranger = Driver(driver.runtime, driver.trace_file, User(driver.principal.user_id + 1))
    with pytest.raises(NotFound):
        await stranger.start("sleeping", thread=run.thread_id)
    with pytest.raises(NothingToCancel):
        await cancel_run(run.id, thread_id=run.thread_id, principal=stranger.principal, action="interrupt")
    with pytest.raises(NotFound):
        await delete_run(run.id, thread_id=run.thread_id, principal=stranger.principal)


async def test_deleting_a_running_run_stops_it_and_frees_its_thread(driver: Driver) -> None:
    run = await driver.start("steps", {"log": [], "delay": 0.1})
    await driver.executing(run, "s1")
    await delete_run(run.id, thread_id=run.thread_id, principal=driver.principal)
    manager = driver.runtime.manager
    assert manager is not None
    async with asyncio.timeout(3):
        while manager.free < 100:
            await asyncio.sleep(0.01)
    assert (await driver.thread(run)).status != "busy"
    row = await driver.finish(await driver.start("sleeping", thread=run.thread_id))
    assert row.status == "success"


async def test_a_fork_from_an_earlier_checkpoint_goes_on_from_there(driver: Driver) -> None:
    row = await driver.finish(await driver.start("parallel"))
    history = await checkpoints(driver, row)
    after_a = next(found for found in history if found.checkpoint["channel_values"].get("log") == ["a"])
    place = {"checkpoint_id": after_a.config["configurable"]["checkpoint_id"]}
    fork = await driver.finish(
        await driver.start("parallel", {"log": ["again"]}, thread=row.thread_id, checkpoint=place)
    )
    assert fork.status == "success"
    assert fork.thread.values["log"][:2] == ["a", "again"]


@pytest.mark.parametrize(("durability", "expected"), [("sync", 5), ("async", 5), ("exit", 1)])
async def test_durability_says_when_checkpoints_are_written(
    driver: Driver, durability: str, expected: int
) -> None:
    row = await driver.finish(await driver.start("parallel", durability=durability))
    assert len(await checkpoints(driver, row)) == expected


async def test_a_question_of_a_run_that_a_shutdown_stops_is_not_shown(
    driver: Driver, run_settings: Any
) -> None:
    """The thread does not have it yet, so an answer would have no target.

    The next attempt asks it again.
    """
    run_settings(DRAIN_SECONDS=1.0)
    run = await driver.start("asking", {"log": [], "delay": 5.0})
    await driver.executing(run, "ask")
    await driver.executing(run, "slow")
    manager = driver.runtime.manager
    assert manager is not None
    await manager.drain()
    row = await driver.row(run)
    assert (row.status, row.lost_attempts, row.thread.interrupts) == ("pending", 0, {})
    events = await in_database(lambda: list(row.events.values_list("event", "data")))
    assert ("metadata", orjson.dumps({"run_id": str(run.id), "attempt": 1}).decode()) in events
    assert not [event for event in events if "__interrupt__" in event[1]]
