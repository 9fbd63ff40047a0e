"""Logs a graph's stream: rows for the modes that the run's creator requested, items for clients of
the agent protocol.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from runs.conf import settings
from runs.encoding import encode
from runs.events.buffer import RunStream
from runs.exceptions import RunTooLarge
from runs.execution.invocation import langgraph_modes
from runs.execution.log.told import Told
from runs.protocols.agent.items import MODES, PACK, Compactor, pack
from runs.protocols.disclosure import discloses_interrupt, without_internals
from runs.protocols.errors import describe
from threads.db.values.text import storable

#: What a graph streams: namespace, mode, data.
Chunk = tuple[tuple[str, ...], str, Any]


class Recording:
    """Logs what the graph of one attempt streams, and keeps what the outcome needs.

    Args:
        kwargs: The run's, with the stream modes that its creator requested.
    """

    def __init__(self, kwargs: Mapping[str, Any], stream: RunStream) -> None:
        self._stream = stream
        #: The number of events so far. The number of rows differs, because it depends on the readers.
        self._streamed = 0
        self._event_limit, self._count_limit = settings.EVENT_LIMIT, settings.EVENTS_PER_RUN
        #: What earlier attempts have streamed of the step in which this attempt begins.
        self.told = Told()
        #: When the graph last streamed something, or this recording was created, in the loop's time.
        self.moved_at = asyncio.get_running_loop().time()
        #: The last values that the graph streamed.
        self.values: Any = None
        #: Whether the graph stopped, or may have stopped, at an interrupt.
        self.asked = False
        #: Rows and items (name, JSON) that show an interrupt; they are published with the end of the run.
        self._held: list[tuple[str, str]] = []
        self._compactor = Compactor()
        #: Values that wait for their checkpoint's item, with their namespace, because protocol clients pair
        #: the two in this order.
        self._waiting: tuple[tuple[str, ...], tuple[str, str]] | None = None
        requested = frozenset(kwargs["stream_mode"])
        #: Modes that are logged as separate rows.
        self._shown = langgraph_modes(requested) | (requested & {"events"})
        self._subgraphs = bool(kwargs.get("subgraphs"))

    @property
    def held(self) -> list[tuple[str, str]]:
        """Events (name, JSON) that show an interrupt; they are published with the end of the run."""
        rows: list[tuple[str, str]] = []
        items: list[str] = []
        for name, data in [*self._held, ("", "")]:
            if name == PACK:
                items.append(data)
                continue
            if items:
                rows.append((PACK, pack(items)))
                items = []
            if name:
                rows.append((name, data))
        return rows

    def take(self, namespace: tuple[str, ...], mode: str, data: Any) -> None:
        """Log one event of the graph: as a separate row if the run's creator requested its mode,
        else as an item.
        """
        self.moved_at = asyncio.get_running_loop().time()
        if not namespace:
            if mode == "values":
                self.values = data
            self.asked = self.asked or (mode == "updates" and "__interrupt__" in data)
        if self._waiting is not None and (mode != "checkpoints" or self._waiting[0] != namespace):
            self.release()
        rows = [row for row in self._rows(namespace, mode, data) if not self.told.again(*row)]
        for event in rows:
            self._check(event)
        question = discloses_interrupt(mode, data)
        if mode == "values" and rows and not question:
            # The checkpoint follows immediately, or not at all.
            self._waiting = (namespace, rows[0])
            asyncio.get_running_loop().call_soon(self.release)
            return
        for name, row in rows:
            if name != PACK:
                self.release()
            # A checkpoint's item contains only its position, and so cannot show an interrupt.
            if question and (name != PACK or mode != "checkpoints"):
                self._held.append((name, row))
            else:
                self._log(name, row)
        self.release()

    def _rows(self, namespace: tuple[str, ...], mode: str, data: Any) -> list[tuple[str, str]]:
        """The rows that are logged for an event, as (name, JSON)."""
        rows: list[tuple[str, str]] = []
        wanted = mode in self._shown and (self._subgraphs or not namespace)
        if mode in MODES and (not wanted or mode == "checkpoints"):
            if mode == "tasks" and isinstance(error := data.get("error"), BaseException):
                data = {**data, "error": describe(error)[0]}
            item = self._compactor.item(mode, namespace, data, now=time.time())
            if item is not None:
                rows.append((PACK, item))
        if wanted:
            rows.append((storable("|".join((mode, *namespace))), encode(without_internals(mode, data))))
        if mode == "values":
            self._compactor.note_values(namespace, data)
        return rows

    def release(self) -> None:
        """Log the values that waited for their checkpoint."""
        if self._waiting is not None:
            (_, row), self._waiting = self._waiting, None
            self._log(*row)

    def _log(self, name: str, row: str) -> None:
        if name == PACK:
            self._stream.note(row)
        else:
            self._stream.append(name, row)

    def _check(self, event: tuple[str, str]) -> None:
        """Raise RunTooLarge if the run exceeds a limit; the log and all readers hold what a run
        streams.
        """
        if self._event_limit and len(event[1]) > self._event_limit:
            raise RunTooLarge(f"An event ({event[0]}) is larger than {self._event_limit} characters.")
        self._streamed += 1
        if self._count_limit and self._streamed > self._count_limit:
            raise RunTooLarge(f"The run streams more than {self._count_limit} events.")
