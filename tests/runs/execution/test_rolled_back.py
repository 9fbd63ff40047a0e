"""A rollback reverts a run's writes to existing checkpoints, also to older ones."""

from __future__ import annotations

from typing import Any

from tests.support.driving import Driver
from threads.checkpoints.storage import addressed


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
