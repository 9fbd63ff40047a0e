"""Spans that wait to be sent: a bounded number, sent by a thread of its own, so that no run waits for it.

Pure of Django; it uses OpenTelemetry's exporter, which the Langfuse package brings.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runs.execution.tracing.counts import Counts

logger = logging.getLogger(__name__)

#: The most spans that wait; later ones are dropped and counted.
MOST = 1000
#: How many are sent at once.
BATCH = 100


class Outbox(SpanExporter):
    """Takes spans without waiting, and passes them to another exporter.

    Args:
        receiver: Sends spans, and may take seconds for it.
    """

    def __init__(self, receiver: SpanExporter, *, most: int = MOST) -> None:
        self.counts = Counts()
        self._receiver = receiver
        self._most = most
        self._waiting: deque[ReadableSpan] = deque()
        self._sending = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._send_all, name="traces", daemon=True).start()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._changed:
            room = max(0, self._most - len(self._waiting))
            self._waiting.extend(spans[:room])
            if lost := len(spans) - room if len(spans) > room else 0:
                if not self.counts.dropped:
                    logger.warning(
                        "The trace receiver is too slow: spans are dropped (/metrics counts them)."
                    )
                self.counts.dropped += lost
            self._changed.notify_all()
        return SpanExportResult.SUCCESS

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits, at most so long; return whether that was reached."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._waiting or self._sending:
                if (left := deadline - time.monotonic()) <= 0:
                    return False
                self._changed.wait(left)
        return True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: the caller would wait for a receiver that may be gone. See `flush`."""
        return True

    def shutdown(self) -> None:
        """Do nothing: the thread ends with the process."""

    def _send_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                self._sending = len(batch)
            try:
                taken = self._receiver.export(batch) is SpanExportResult.SUCCESS
            except Exception as error:
                logger.warning("Spans could not be sent: %s", error)
                taken = False
            with self._changed:
                if taken:
                    self.counts.sent += len(batch)
                else:
                    self.counts.failed += len(batch)
                self._sending = 0
                self._changed.notify_all()
