"""What a later attempt reads before its graph is executed, while the database is away for a moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import OperationalError

from runs.execution import graph_stream
from runs.execution.attempt_writer import AttemptWriter
from tests.runs.events.test_usage import in_the_second_call, quiet
from tests.support.driving import Driver
from threads.checkpoints import StorageUnavailable

__all__ = ["quiet"]


async def test_the_log_of_earlier_attempts_is_read_again(
    quiet: None, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, execution = await in_the_second_call(driver)
    earlier = graph_stream._earlier
    failed: list[int] = []

    def once(*arguments: Any) -> Any:
        if not failed:
            failed.append(1)
            raise OperationalError("the connection is closed")
        return earlier(*arguments)

    monkeypatch.setattr(graph_stream, "_earlier", once)
    execution.request_requeue()
    row = await driver.finish(run)
    assert (row.status, row.attempt, failed) == ("success", 2, [1])


async def test_what_an_attempt_left_is_removed_again() -> None:
    calls: list[int] = []

    class Storage:
        commits = SimpleNamespace(retry_seconds=5.0)

        async def remove_run(self, *arguments: Any, **more: Any) -> None:
            calls.append(1)
            if len(calls) == 1:
                raise psycopg.OperationalError("the connection is closed")

    writer: Any = AttemptWriter.__new__(AttemptWriter)
    writer._storage = Storage()
    await writer.remove_leftovers(SimpleNamespace(kwargs={}, thread_id=None, id=None, epoch=1, base=None))
    assert len(calls) == 2


@pytest.mark.parametrize("failures", [1, 1000])
async def test_pending_writes_are_read_again(failures: int) -> None:
    left = [failures]

    class Storage:
        commits = SimpleNamespace(retry_seconds=0.3)

        async def snapshot_writes(self, thread_id: Any, *, also: Any) -> list[Any]:
            if left[0]:
                left[0] -= 1
                raise psycopg.OperationalError("the connection is closed")
            return []

    writer: Any = AttemptWriter.__new__(AttemptWriter)
    writer._storage, writer._thread_id = Storage(), None
    if failures == 1:
        assert await writer.snapshot() == []
    else:
        # The run is requeued, and does not fail.
        with pytest.raises(StorageUnavailable):
            await writer.snapshot()
