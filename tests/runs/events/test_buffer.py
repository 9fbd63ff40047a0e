"""The memory of one attempt's events."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from runs.events import buffer
from runs.events.buffer import RunStream

LIMIT = 50


class Log:
    """A log that takes everything, when it is asked to."""

    def __init__(self) -> None:
        self.flushes = 0
        self.stored: list[int] = []
        self.stream: RunStream

    def written_soon(self, stream: RunStream) -> None:
        self.stream = stream

    async def flush(self) -> None:
        self.flushes += 1
        events = self.stream.unwritten().events
        self.stored += [event.seq for event in events]
        self.stream.wrote(events[-1].seq)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def stream(log: Log, run_settings: Any) -> RunStream:
    run_settings(EVENT_BUFFER=LIMIT)
    return RunStream(log, run_id=uuid4(), thread_id=uuid4(), epoch=1, first=True)


async def emit(stream: RunStream, many: int, *, size: int = 1) -> None:
    for _ in range(many):
        stream.append("custom", "x" * size)
        if stream.full:
            await stream.room()


async def test_a_run_waits_for_the_log_once_in_so_many_events(stream: RunStream, log: Log) -> None:
    await emit(stream, 20 * LIMIT)
    assert log.flushes <= 20
    assert log.stored == list(range(1, len(log.stored) + 1))
    assert len(log.stored) >= 19 * LIMIT


async def test_a_run_waits_for_the_log_once_in_so_many_bytes(
    stream: RunStream, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "BUFFER_BYTES", 1000)
    await emit(stream, 100, size=100)
    assert 8 <= log.flushes <= 10
    await emit(stream, 3, size=2000)
    assert len(log.stored) == 103


async def test_memory_has_the_newest_events_and_all_that_the_log_does_not_have(
    stream: RunStream, log: Log
) -> None:
    most = 0
    for _ in range(10 * LIMIT):
        await emit(stream, 1)
        kept = list(stream._buffer)
        most = max(most, len(kept))
        assert kept[-1].seq == stream.count
        assert kept[0].seq <= (log.stored or [0])[-1] + 1
        assert stream.after((1, kept[0].seq - 1)) == kept
    assert LIMIT <= most <= LIMIT + 1
    assert stream.after((1, 0)) is None
