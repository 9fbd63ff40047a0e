"""Edits and copies of threads with rebuilt values, and the effect of a fenced writer on them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from langgraph.types import StateUpdate

from runs.states.copies import copy_thread
from runs.states.edits import update_state
from runs.states.reads import readable
from tests.runs.retention.test_keep_latest import noting_graph
from tests.support.driving import Driver
from tests.support.retention import quiet
from threads.checkpoints import Fenced, ThreadWriter
from threads.db.database import in_database
from threads.models import Thread
from threads.state.read import read_history, read_state

__all__ = ["noting_graph", "quiet"]


async def row_and_state(thread_id: UUID) -> tuple[Any, Any]:
    """The values in a thread's row, and in its checkpoints."""
    thread = await in_database(Thread.objects.get, id=thread_id)
    state = await read_state(thread, open_graph=readable)
    return thread.values, state["values"]


async def test_an_edit_of_values_that_are_kept_as_changes_is_whole(noting_graph: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("noting", {"notes": ["a"], "never": ["x"]}))
    expected = {"notes": ["a", "1:nothing"], "never": ["x"]}
    for number in range(6):
        update = StateUpdate({"notes": [f"edit {number}"], "never": ["y"]}, "note")
        steps = [[update]] if number % 2 else [[update], [update]]
        await update_state(run.thread_id, steps, principal=driver.principal, checkpoint=None)
        for _ in steps:
            expected["notes"].append(f"edit {number}")
            expected["never"].append("y")
        assert await row_and_state(run.thread_id) == (expected, expected)
    last = await driver.finish(await driver.start("noting", {"notes": ["b"]}, thread=run.thread_id))
    assert last.thread.values["notes"] == [*expected["notes"], "b", "12:nothing"]


async def test_a_fork_of_values_that_are_kept_as_changes_has_none_of_the_other_branch(
    noting_graph: Any, driver: Driver
) -> None:
    run = await driver.finish(await driver.start("noting", {"notes": ["a"]}))
    first = (await driver.finish(run)).thread
    await driver.finish(await driver.start("noting", {"notes": ["b"]}, thread=run.thread_id))
    history = [each async for each in read_history(first, open_graph=readable, limit=100)]
    past = next(state for state in history if state["values"].get("notes") == ["a", "1:nothing"])
    update = StateUpdate({"notes": ["forked"]}, "note")
    await update_state(run.thread_id, [[update]], principal=driver.principal, checkpoint=past["checkpoint"])
    row, state = await row_and_state(run.thread_id)
    assert row["notes"] == state["notes"] == ["a", "1:nothing", "forked"]


async def test_a_copy_of_values_that_are_kept_as_changes_goes_its_own_way(
    noting_graph: Any, driver: Driver
) -> None:
    run = await driver.finish(await driver.start("noting", {"notes": ["a"]}))
    copy = await copy_thread(run.thread_id, principal=driver.principal)
    assert await row_and_state(copy.id) == await row_and_state(run.thread_id)
    await driver.finish(await driver.start("noting", {"notes": ["b"]}, thread=copy.id))
    assert (await row_and_state(copy.id))[1]["notes"] == ["a", "1:nothing", "b", "3:nothing"]
    assert (await row_and_state(run.thread_id))[1]["notes"] == ["a", "1:nothing"]


async def test_a_writer_of_before_an_edit_writes_nothing_after_it(driver: Driver) -> None:
    first = await driver.finish(await driver.start("steps"))
    run = await driver.finish(await driver.start("steps", thread=first.thread_id))
    storage = driver.runtime.storage
    late = ThreadWriter(storage, thread_id=run.thread_id, epoch=run.epoch, run_id=run.id)
    found: Any = await late.aget_tuple({"configurable": {"thread_id": str(run.thread_id)}})
    update = StateUpdate({"log": ["edited"]}, "s9")
    await update_state(run.thread_id, [[update]], principal=driver.principal, checkpoint=None)
    with pytest.raises(Fenced):
        await late.aput_writes(found.config, [("log", ["late"])], "task")
    assert (await row_and_state(run.thread_id))[1]["log"][-1] == "edited"
