"""Runs as server-sent events, the wire format of LangGraph Server (§3). Pure: no Django, no database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import orjson

from runs.protocols.agent.items import PACK
from runs.protocols.messages import MessageAccumulator

#: (epoch, seq): the place of an event in its run.
Position = tuple[int, int]

#: The position before the first event: everything is replayed.
START: Final[Position] = (0, 0)
#: No position: only new events are sent.
LIVE: Final = None

HEARTBEAT = b": heartbeat\r\n\r\n"
CONTENT_TYPE = "text/event-stream; charset=utf-8"
#: Events that every reader gets in all modes.
ALWAYS = frozenset({"metadata", "error", "end"})

#: The forms in which clients request the start.
FROM_START = frozenset({"", "-", "-1", "0"})
_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")


class LogEvent(Protocol):
    """An entry of a run's event log: a stream mode with a subgraph's namespace, and JSON."""

    @property
    def epoch(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def data(self) -> str: ...


def frame(event: str, data: str, event_id: str | None = None) -> bytes:
    """One event on the wire; `data` is JSON on one line."""
    tail = f"id: {event_id}\r\n\r\n" if event_id else "\r\n"
    return f"event: {event}\r\ndata: {data}\r\n{tail}".encode()


def parse_last_event_id(text: str | None) -> Position | None:
    """The position of a reader's `Last-Event-ID`.

    `-1`, `-` and `0` mean the start, and a missing header means live. An unknown id means the start
    too: the reference replays nothing then, which loses events, whereas clients can handle repeated
    events.
    """
    if text is None or not text.strip():
        return LIVE
    found = _ID.fullmatch(text.strip())
    return (int(found[1]), int(found[2])) if found else START


def is_event_id(text: str) -> bool:
    """Whether this is an event's id, or one of the forms that mean the start."""
    return text.strip() in FROM_START or _ID.fullmatch(text.strip()) is not None


def listed_values(values: Iterable[str]) -> list[str]:
    """The values of a query parameter in any form of clients: repeated, comma-separated or JSON."""
    found: list[str] = []
    for value in values:
        text = value.strip()
        if text.startswith("["):
            try:
                parsed = orjson.loads(text)
            except orjson.JSONDecodeError:
                parsed = []
            found += [each for each in parsed if isinstance(each, str)]
        else:
            found += [each for part in text.split(",") if (each := part.strip())]
    return list(dict.fromkeys(found))


def narrowed(requested: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The modes of a reader that selects some of the run's modes.

    No selection means all modes. Either form of messages selects the form with which the run was
    created.
    """
    if not wanted:
        return list(requested)
    messages = [mode for mode in requested if mode.startswith("messages")]
    modes: list[str] = []
    for mode in wanted:
        modes += messages if messages and mode.startswith("messages") else [mode]
    return list(dict.fromkeys(modes))


class Projection:
    """One reader's view of a run's event log, event by event, in the log's order."""

    def __init__(self, modes: Iterable[str], *, subgraphs: bool) -> None:
        self._modes = frozenset(modes)
        self._subgraphs = subgraphs
        self._messages = MessageAccumulator() if "messages" in self._modes else None

    @property
    def cumulative(self) -> bool:
        """Whether frames depend on earlier events, so that a late reader must be primed."""
        return self._messages is not None

    def prime(self, event: LogEvent) -> None:
        """Feed an event that the reader already has."""
        if self._messages is not None:
            self.feed(event)

    def feed(self, event: LogEvent) -> list[tuple[str, str]]:
        """The frames of one event, as (event name, JSON); none if the reader did not select it."""
        if event.name == PACK:
            return []
        mode, _, namespace = event.name.partition("|")
        if mode in ALWAYS:
            if mode == "metadata" and self._messages is not None:
                self._messages.restart()
            return [(event.name, event.data)]
        if namespace and not self._subgraphs:
            return []
        if mode != "messages":
            wanted = mode in self._modes or event.name in self._modes
            return [(event.name, event.data)] if wanted else []
        frames = [(event.name, event.data)] if "messages-tuple" in self._modes else []
        if self._messages is not None:
            frames += self._messages.feed(event.data)
        return frames

    def frames(self, event: LogEvent) -> bytes:
        """The same on the wire.

        Only the last of several frames has the id, so that a resumed stream lacks none.
        """
        found = self.feed(event)
        if not found:
            return b""
        last = found.pop()
        head = b"".join(frame(name, data) for name, data in found)
        return head + frame(*last, f"{event.epoch}-{event.seq}")
