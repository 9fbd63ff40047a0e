"""An answer after the thread's state was edited reaches the graph, as it does in plain LangGraph."""

from __future__ import annotations

from typing import Any

from langgraph.types import StateUpdate

from runs.states.edits import update_state
from tests.support.driving import Driver


async def edit(driver: Driver, run: Any, values: dict[str, Any], checkpoint: Any = None) -> dict[str, Any]:
    updates = [[StateUpdate(values, None)]]
    return await update_state(run.thread_id, updates, principal=driver.principal, checkpoint=checkpoint)


async def test_a_plain_answer_after_an_edit_reaches_the_interrupt(driver: Driver) -> None:
    asked = await driver.finish(await driver.start("asking"))
    assert asked.thread.interrupts
    await edit(driver, asked, {"log": ["edited"]})
    done = await driver.finish(await driver.resume("asking", "yes", thread=asked.thread_id))
    assert (done.status, done.thread.status, done.thread.interrupts) == ("success", "idle", {})
    assert "yes" in str(done.thread.values["log"])
    assert "edited" in done.thread.values["log"]


async def test_a_plain_answer_reaches_the_interrupt_of_a_fork(driver: Driver) -> None:
    """An edit at the interrupt's checkpoint, on a thread that has continued since."""
    asked = await driver.finish(await driver.start("asking"))
    thread: Any = {"configurable": {"thread_id": str(asked.thread_id)}}
    await driver.finish(await driver.resume("asking", "one", thread=asked.thread_id))
    history = [each async for each in driver.runtime.storage.reader().alist(thread)]
    before = next(
        each for each in history if any(name == "__interrupt__" for _, name, _ in each.pending_writes or ())
    )
    place = await edit(driver, asked, {"log": ["forked"]}, {"checkpoint_id": before.checkpoint["id"]})
    fork = {"checkpoint_id": place["checkpoint_id"], "checkpoint_ns": ""}
    done = await driver.finish(await driver.resume("asking", "two", thread=asked.thread_id, checkpoint=fork))
    assert done.status == "success"
    assert "two" in str(done.thread.values["log"])
    assert "one" not in str(done.thread.values["log"])


async def test_a_plain_answer_to_a_thread_that_asks_nothing_reaches_no_later_interrupt(
    driver: Driver,
) -> None:
    done = await driver.finish(await driver.start("asking", interrupt_before="*"))
    assert not done.thread.interrupts
    later = await driver.finish(await driver.resume("asking", "astray", thread=done.thread_id))
    assert "astray" not in str(later.thread.values)
    assert later.thread.interrupts
