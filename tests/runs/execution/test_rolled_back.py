"""A rollback reverts a run's writes to existing checkpoints, also to older ones."""

from __future__ import annotations

from typing import Any

import pytest

from runs.lifecycle.cancellation import cancel_run
from tests.support.driving import Driver
from tests.support.retention import query
from threads.checkpoints.storage import addressed
from threads.db.database import in_database


async def test_a_rollback_of_a_run_at_an_older_checkpoint_leaves_nothing_there(driver: Driver) -> None:
    asked = await driver.finish(await driver.start("asking"))
    thread: Any = {"configurable": {"thread_id": str(asked.thread_id)}}
    reader = driver.runtime.storage.reader()
    older = await reader.aget_tuple(thread)
    assert older is not None
    place = {"checkpoint_id": older.checkpoint["id"], "checkpoint_ns": ""}
    await driver.finish(await driver.resume("asking", "one", thread=asked.thread_id))

    async def writes() -> list[Any]:
        found = await reader.aget_tuple({"configurable": {**thread["configurable"], **place}})
        assert found is not None
        return sorted(map(str, found.pending_writes or ()))

    before = await writes()
    command = {"resume": "two", "update": {"log": ["updated"]}}
    run = await driver.start("asking", thread=asked.thread_id, command=command, checkpoint=place)
    row = await driver.finish(run)
    assert "two" in str(row.thread.values["log"])
    assert await writes() != before
    storage = driver.runtime.storage
    await storage.remove_run(row.thread_id, row.id, epoch=row.epoch, writes=row.base, also=addressed(place))
    assert await writes() == before
    latest = await reader.aget_tuple(thread)
    assert latest is not None
    assert "one" in str(latest.checkpoint["channel_values"]["log"])


def stored_values(thread_id: Any) -> list[Any]:
    """The values of a thread's channels, by namespace, channel and version."""
    text = "SELECT checkpoint_ns, channel, version FROM checkpoint_blobs WHERE thread_id = ? ORDER BY 1, 2, 3"
    return query(text, str(thread_id))


@pytest.mark.postgresql
async def test_a_rollback_removes_the_values_that_no_other_checkpoint_has(driver: Driver) -> None:
    first = await driver.finish(await driver.start("nested", {"log": ["first"]}))
    thread = first.thread_id
    before = await in_database(stored_values, thread)
    assert before
    run = await driver.start("questions", thread=thread, durability="sync")
    await driver.finish(run)
    again = await driver.resume("questions", "A", thread=thread, durability="sync")
    await driver.finish(again)
    beside = await in_database(stored_values, thread)
    assert set(before) < set(beside)
    last = await driver.start("steps", {"log": ["last"], "delay": 0.05}, thread=thread, durability="sync")
    await driver.executing(last, "s4")
    assert await in_database(stored_values, thread) != beside
    await cancel_run(last.id, thread_id=thread, principal=driver.principal, action="rollback")
    await driver.runtime.hub.settled(last.id)
    # What the earlier runs' checkpoints have stays, although the removed ones had it too.
    assert await in_database(stored_values, thread) == beside
    reader = driver.runtime.storage.reader()
    config: Any = {"configurable": {"thread_id": str(thread), "checkpoint_ns": ""}}
    logs = [found.checkpoint["channel_values"].get("log") async for found in reader.alist(config)]
    assert all(log is not None for log in logs[:-1])
