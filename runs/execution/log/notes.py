"""What an attempt notes for operators, as items of the run's log that no client is shown.

Log lines of the graph's code, the begin and end of each call of a model, and the errors of tools. They cost one item each,
share rows with the other items, and are kept as long as the run's events.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Protocol

from runs.encoding import decode, encode
from runs.protocols.agent.items import LOG, MODEL, PACK, TOOL
from threads.redaction import RedactingFormatter, redacted, redacted_text

#: The most log lines of a run, their most characters together, and the most of one line.
MOST_LINES, MOST_SIZE, LONGEST_LINE = 1000, 256 * 1024, 8 * 1024
#: The attributes that every record has; all others were given by the caller as `extra`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: The notes of the attempt whose graph runs in this context.
noting: ContextVar[Notes | None] = ContextVar("noting", default=None)


class Stream(Protocol):
    """The attempt's part of the run's log."""

    closed: bool

    def note(self, item: str) -> None: ...


class Notes:
    """Adds notes of one attempt to its stream, from any thread."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lines = self._size = 0

    def count(self, lines: int, size: int) -> None:
        """Count the log lines of earlier attempts."""
        self._lines += lines
        self._size += size

    def add(self, mode: str, namespace: Iterable[str], data: Any) -> None:
        item = encode([mode, list(namespace), int(time.time() * 1000), data])
        if threading.get_ident() == self._thread:
            self._add(item)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._add, item)

    def _add(self, item: str) -> None:
        if not self._stream.closed:
            self._stream.note(item)

    def log(self, record: logging.LogRecord) -> None:
        """Add a log line. The first one beyond the limits says so, later ones are dropped."""
        if self._lines > MOST_LINES or self._size > MOST_SIZE:
            return
        line = described(record)
        self._lines += 1
        self._size += len(line["message"])
        if self._lines > MOST_LINES or self._size > MOST_SIZE:
            self._size = MOST_SIZE + 1
            line = {"level": "WARNING", "logger": __name__, "message": "Further log lines were dropped."}
        self.add(LOG, (), line)


def described(record: logging.LogRecord) -> dict[str, Any]:
    """A log record as JSON, without secrets."""
    try:
        message = record.getMessage()
    except Exception:
        message = str(record.msg)
    line: dict[str, Any] = {"level": record.levelname, "logger": record.name}
    if record.exc_info:
        message += "\n" + RedactingFormatter().formatException(record.exc_info)
    line["message"] = redacted_text(message[:LONGEST_LINE])
    if fields := {name: str(each) for name, each in vars(record).items() if name not in STANDARD}:
        line["fields"] = {
            name: redacted_text(str(each)[:500]) for name, each in list(redacted(fields).items())[:20]
        }
    return line


def lines_in(rows: Iterable[tuple[str, str]]) -> tuple[int, int]:
    """The log lines in rows of the log (name, JSON), and their characters."""
    lines = size = 0
    for name, data in rows:
        if name == PACK and f'["{LOG}",' in data:
            for mode, _, _, line in decode(data):
                if mode == LOG:
                    lines, size = lines + 1, size + len(line["message"])
    return lines, size


class Handler(logging.Handler):
    """Passes the log records of a graph's code to its attempt; other records have none."""

    def emit(self, record: logging.LogRecord) -> None:
        if (notes := noting.get()) is not None:
            try:
                notes.log(record)
            except Exception:
                self.handleError(record)


HANDLER = Handler()


def install() -> None:
    """Let this process's attempts note log lines; repeating it has no effect."""
    logging.getLogger().addHandler(HANDLER)


def model_note(event: str, run_id: object, **more: Any) -> None:
    """Note the begin (`start`), the `end` or the `error` of a model's call in the attempt of this context."""
    if (notes := noting.get()) is not None:
        namespace = str(more.pop("namespace", "") or "")
        data = {"event": event, "id": str(run_id), **{name: each for name, each in more.items() if each}}
        notes.add(MODEL, namespace.split("|") if namespace else (), data)


def tool_note(call: str, error: dict[str, str]) -> None:
    """Note the error of a tool's call in the attempt of this context."""
    if (notes := noting.get()) is not None:
        notes.add(TOOL, (), {"event": "error", "id": call, "error": error})
