"""Spans that wait to be sent: bounded and counted; no run waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runs.execution.tracing.outbox import MOST, Outbox
from runs.execution.tracing.waiting import within


class Receiver(SpanExporter):
    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.open = threading.Event()
        self.result: Any = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        self.open.wait(10)
        if isinstance(self.result, Exception):
            raise self.result
        self.taken += spans
        return self.result


def test_a_thousand_spans_wait_and_the_others_are_dropped_and_counted() -> None:
    receiver = Receiver()
    outbox = Outbox(receiver)
    outbox.export(["first"])  # type: ignore[list-item]
    deadline = time.monotonic() + 5
    while outbox._waiting and time.monotonic() < deadline:
        time.sleep(0.001)
    began = time.monotonic()
    for _ in range(13):
        outbox.export(list(range(100)))  # type: ignore[arg-type]
    assert time.monotonic() - began < 1.0, "nobody waits"
    assert (outbox.counts.dropped, outbox.counts.sent) == (1300 - MOST, 0)
    assert not outbox.flush(0.05)
    receiver.open.set()
    assert outbox.flush(10.0)
    assert (outbox.counts.sent, outbox.counts.failed) == (MOST + 1, 0)
    assert receiver.taken == ["first", *list(range(100)) * 10]


def test_what_the_receiver_does_not_take_is_counted_as_failed() -> None:
    receiver = Receiver()
    receiver.open.set()
    outbox = Outbox(receiver)
    for result in (SpanExportResult.FAILURE, RuntimeError("gone"), SpanExportResult.SUCCESS):
        receiver.result = result
        outbox.export(["span"])  # type: ignore[list-item]
        assert outbox.flush(10.0)
    assert (outbox.counts.failed, outbox.counts.sent) == (2, 1)


async def test_waiting_ends_in_time_and_does_not_raise() -> None:
    never = threading.Event()
    began = time.monotonic()
    assert not await within(0.1, lambda: never.wait(20))
    assert time.monotonic() - began < 5
    never.set()
    assert await within(5.0, lambda: True)

    def broken() -> bool:
        raise OSError("gone")

    assert not await within(5.0, broken)
