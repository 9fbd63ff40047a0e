"""Readers of a run's stream, each in a separate thread."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient
from langgraph_sdk.errors import InternalServerError

from tests.processes.databases import Row
from tests.processes.harness import Process, Site, eventually

Position = tuple[int, int]


def position(event_id: str) -> Position:
    epoch, _, seq = event_id.partition("-")
    return int(epoch), int(seq)


class Reader(threading.Thread):
    """The stock client, which rejoins by event id until the run is terminal and fully read."""

    def __init__(self, site: Site, run: Row, *, after: str = "-1", process: Process | None = None) -> None:
        super().__init__(daemon=True)
        self.parts: list[Any] = []
        self.error: Exception | None = None
        self._url, self._run, self._after = (process or site.process).url, run, after
        self.start()
        eventually(lambda: self.parts or not self.is_alive(), what="the reader reads")

    def run(self) -> None:
        deadline = time.monotonic() + 60
        try:
            with get_sync_client(url=self._url, api_key="none", timeout=30) as client:
                while self._read(client, deadline):
                    pass
        except Exception as error:
            self.error = error

    def _read(self, client: SyncLangGraphClient, deadline: float) -> bool:
        """Read until the stream ends; return whether there may be more."""
        thread_id, run_id = self._run["thread_id"], self._run["run_id"]
        count = len(self.parts)
        last = self.parts[-1].id if self.parts else self._after
        try:
            status = client.runs.get(thread_id, run_id)["status"]
            for part in client.runs.join_stream(thread_id, run_id, last_event_id=last):
                self.parts.append(part)
        except (httpx.TransportError, InternalServerError):
            if time.monotonic() > deadline:
                raise
            return True
        return status in ("pending", "running") or len(self.parts) > count

    def finish(self) -> list[Position]:
        """Wait for the end of the run; return the ids that were read, in order."""
        self.join(60)
        assert not self.is_alive(), "The reader still reads."
        if self.error is not None:
            raise self.error
        assert all(part.id for part in self.parts), self.parts
        return [position(part.id) for part in self.parts]

    @property
    def names(self) -> list[str]:
        return [part.event for part in self.parts]


class RawReader(threading.Thread):
    """One connection without reconnects: its lines, their times of arrival, and how it ended."""

    def __init__(
        self, site: Site, run: Row, *, after: str = "-1", query: str = "", process: Process | None = None
    ) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        #: "" during reading; then "ended", "left", or "cut" with the reason.
        self.end = ""
        self.ended_at = 0.0
        self._left = threading.Event()
        url = (process or site.process).url
        self._url = f"{url}/threads/{run['thread_id']}/runs/{run['run_id']}/stream{query}"
        self._after = after
        self._open = threading.Event()
        self.start()
        eventually(lambda: self._open.is_set() or self.end, what="the reader is connected")

    def run(self) -> None:
        try:
            headers = {"Last-Event-ID": self._after}
            with (
                httpx.Client(trust_env=False, timeout=30) as client,
                client.stream("GET", self._url, headers=headers) as response,
            ):
                self._open.set()
                for line in response.iter_lines():
                    self.lines.append(line)
                    if self._left.is_set():
                        self.end = "left"
                        return
            self.end = "ended"
        except httpx.HTTPError as error:
            self.end = f"cut: {error!r}"
        finally:
            self.ended_at = time.monotonic()

    def leave(self) -> None:
        """Close the connection at the next line, at the latest the next heartbeat."""
        self._left.set()
        self.join(20)

    @property
    def names(self) -> list[str]:
        return [line.removeprefix("event: ") for line in self.lines if line.startswith("event: ")]

    @property
    def ids(self) -> list[Position]:
        return [position(line.removeprefix("id: ")) for line in self.lines if line.startswith("id: ")]

    @property
    def heartbeats(self) -> int:
        return sum(line.startswith(":") for line in self.lines)
