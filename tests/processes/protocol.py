"""Test clients of the agent streaming protocol on the wire: a websocket, and server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.processes.harness import Process

Json = dict[str, Any]

CHANNELS = [
    "values", "updates", "messages", "tools", "lifecycle", "input", "tasks", "custom", "checkpoints",
]  # fmt: skip
ENDINGS = ("completed", "interrupted", "failed")


def new_thread() -> str:
    """The id of a thread that does not exist yet, created by the client."""
    return str(uuid4())


class Socket:
    """One websocket on a thread."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[Json] = []
        self._number = 0

    def receive(self, timeout: float = 20) -> Json:
        return dict(json.loads(self.connection.recv(timeout)))

    def command(self, method: str, **params: Any) -> Json:
        """Send a command and return its answer; events that come before it are kept."""
        self._number += 1
        self.connection.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while (message := self.receive())["type"] == "event":
            self.events.append(message)
        assert message["id"] == self._number
        return message

    def until_end(self, runs: int = 1) -> list[Json]:
        """All events up to the end of this many runs."""
        while sum(map(is_end, self.events)) < runs:
            message = self.receive()
            assert message["type"] == "event", message
            self.events.append(message)
        return self.events


@contextmanager
def socket(process: Process, thread: str, *, query: str = "", **options: Any) -> Iterator[Socket]:
    """A websocket on a thread."""
    url = process.url.replace("http", "ws") + f"/threads/{thread}/stream/events{query}"
    with connect(url, proxy=None, max_size=None, **options) as connection:
        yield Socket(connection)


def is_end(event: Json) -> bool:
    """Whether this is the end of a run."""
    params = event["params"]
    ends = event["method"] == "lifecycle" and params["data"]["event"] in ENDINGS
    return ends and not params["namespace"]


def command(process: Process, thread: str, method: str, **params: Any) -> Json:
    """Send a command over HTTP and return its answer."""
    with httpx.Client(trust_env=False, timeout=20) as client:
        body = {"id": 1, "method": method, "params": params}
        return dict(client.post(f"{process.url}/threads/{thread}/commands", json=body).json())


def stream(process: Process, thread: str, **wanted: Any) -> Iterator[Json]:
    """A thread's events as they arrive over HTTP."""
    body = {"channels": CHANNELS, **wanted}
    url = f"{process.url}/threads/{thread}/stream/events"
    with (
        httpx.Client(trust_env=False, timeout=20) as client,
        client.stream("POST", url, json=body) as response,
    ):
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def whole(process: Process, thread: str, *, runs: int = 1, **wanted: Any) -> list[Json]:
    """A thread's events up to the end of this many runs."""
    found: list[Json] = []
    for event in stream(process, thread, **wanted):
        found.append(event)
        if sum(map(is_end, found)) == runs:
            break
    return found


def told(events: list[Json]) -> list[tuple[int, str, str, list[str], str]]:
    """The parts that must be equal for all readers; times may differ."""
    return [
        (
            each["seq"],
            each["event_id"],
            each["method"],
            each["params"]["namespace"],
            json.dumps(each["params"]["data"], sort_keys=True),
        )
        for each in events
    ]
