"""Clients that vanish, do not read, or send or request too much: they affect only themselves."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from typing import Any

import httpx
import pytest

from tests.processes.databases import Row
from tests.processes.faults import LONG, memory
from tests.processes.harness import Process, Site, eventually, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import Position, RawReader, Reader, position

MB = 1024 * 1024
ID = re.compile(rb"^id: (\d+-\d+)\r?$", re.MULTILINE)
LIMIT = 8 * MB


def request(process: Process, run: Row, *, after: str) -> bytes:
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {after}\r\n\r\n".encode()


class Client:
    """One of very many readers of a run's stream; it keeps only the ids."""

    def __init__(self, process: Process, run: Row) -> None:
        self._process, self._run = process, run
        self.ids: list[bytes] = []

    async def read(self, *, until: int | None = None) -> None:
        """Read to the end, or up to a number of events; then reset the connection."""
        port = int(self._process.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        after = self.ids[-1].decode() if self.ids else "-1"
        writer.write(request(self._process, self._run, after=after))
        try:
            while until is None or len(self.ids) < until:
                line = await reader.readline()
                if line in (b"", b"0\r\n"):
                    assert until is None, "The stream ended early."
                    return
                self.ids += ID.findall(line.rstrip())
        finally:
            writer.transport.abort()


async def crowd(process: Process, run: Row, *, size: int, until: int) -> list[list[Position]]:
    """Many clients read, vanish together after some events, and reconnect together."""
    clients = [Client(process, run) for _ in range(size)]
    await asyncio.gather(*(client.read(until=until) for client in clients))
    await asyncio.gather(*(client.read() for client in clients))
    return [[position(each.decode()) for each in client.ids] for client in clients]


def test_three_hundred_clients_that_vanish_and_come_back_at_once_miss_and_repeat_nothing(site: Site) -> None:
    site.start()
    run = site.create("steps", {"delay": 0.5}, stream_mode=["values", "updates", "debug"])
    read = asyncio.run(asyncio.wait_for(crowd(site.process, run, size=300, until=6), 90))
    assert site.finish(run)["status"] == "success"
    everything = [(row["epoch"], row["seq"]) for row in site.events(run)]
    for ids in read:
        assert ids == everything
    assert site.process.stop() == 0
    sound(site)


class Sluggish:
    """A reader that takes one byte a second, with the smallest kernel buffer."""

    def __init__(self, process: Process, run: Row) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        self._socket.connect(("127.0.0.1", int(process.url.rpartition(":")[2])))
        self._socket.sendall(request(process, run, after="-1"))
        self._next = 0.0
        self.bytes = 0

    def turn(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1
            self.bytes += len(self._socket.recv(1))

    def close(self) -> None:
        self._socket.close()


def flood(site: Site, *, sluggish: int) -> tuple[float, int]:
    """Emit 30 MB to one reader and some sluggish ones.

    Return its seconds, and the growth of the server's memory.
    """
    before = memory(site.process)
    began = time.monotonic()
    run = site.create("flood", {"many": 3000, "size": 10_000}, stream_mode=["custom"])
    slow = [Sluggish(site.process, run) for _ in range(sluggish)]
    reader = RawReader(site, run)
    most = before

    def ended() -> bool:
        nonlocal most
        most = max(most, memory(site.process))
        for each in slow:
            each.turn()
        return bool(reader.end)

    eventually(ended, timeout=90, what="the reader has everything")
    took = time.monotonic() - began
    assert reader.end == "ended"
    assert reader.names.count("custom") == 3000
    assert all(each.bytes > 0 for each in slow)
    assert site.finish(run)["status"] == "success"
    for each in slow:
        each.close()
    return took, most - before


def test_readers_that_do_not_read_cost_bounded_memory_and_slow_nobody(site: Site) -> None:
    """A run emits 30 MB; a server that kept it for each of 20 readers would need 600 MB."""
    site.start()
    flood(site, sluggish=0)  # the memory that a process's first flood needs for any reader
    alone, _ = flood(site, sluggish=0)
    beside, growth = flood(site, sluggish=20)
    print(f"alone {alone:.1f} s, beside sluggish readers {beside:.1f} s, memory grew by {growth / MB:.0f} MB")
    assert growth < 60 * MB
    assert beside < 2 * alone + within(2)
    assert site.process.stop() == 0
    sound(site)


# Payloads


def create(site: Site, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return httpx.post(site.process.url + "/runs", content=body, headers=headers, timeout=60)


def test_a_body_beyond_the_limit_is_refused_and_one_within_it_is_executed(shared: Site) -> None:
    before = shared.database.rows("SELECT count(*) AS n FROM runs_run")
    answer = create(shared, b'{"assistant_id": "steps", "input": "' + b"x" * LIMIT + b'"}')
    assert (answer.status_code, answer.json()) == (
        413, {"detail": f"Request body is larger than {LIMIT} bytes."},
    )  # fmt: skip
    assert shared.database.rows("SELECT count(*) AS n FROM runs_run") == before
    run = shared.create("sleeping", {"log": ["x" * (LIMIT - 4096)]})
    assert shared.finish(run)["status"] == "success"
    assert shared.values(run)["log"][1:] == ["sleep"]


@pytest.mark.parametrize("depth", [65, 10_000])
def test_json_that_is_nested_too_deep_is_refused(shared: Site, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    answer = create(shared, b'{"assistant_id": "steps", "input": {"log": ' + nested + b"}}")
    assert answer.status_code == 422
    assert re.search("nested (too deeply|more than 64 levels deep)", answer.json()["detail"])


def test_a_node_may_return_twenty_megabytes_where_no_limit_says_otherwise(site: Site) -> None:
    # Under load, 20 megabytes in several tables may take longer than the short lease of tests.
    site.start(run_settings={"STATE_LIMIT": 0, "EVENT_LIMIT": 0, **LONG})
    run = site.create("bulky", {"size": 20 * MB})
    reader = Reader(site, run)
    assert site.finish(run, timeout=60)["status"] == "success"
    read_everything(site, run, reader.finish())
    assert len(reader.parts[-1].data["text"]) == 20 * MB
    assert len(site.client().runs.join(run["thread_id"], run["run_id"])["text"]) == 20 * MB
    assert site.finish(site.create("steps"))["status"] == "success"
    assert site.process.stop() == 0
    sound(site)


def error_of(row: Row) -> Any:
    return json.loads(row["error"]) if isinstance(row["error"], str) else row["error"]


@pytest.mark.parametrize("depth", [200, 10_000])
def test_a_node_that_returns_what_is_nested_very_deep_harms_nobody(site: Site, depth: int) -> None:
    site.start()
    run, beside = site.create("deep", {"many": depth}), site.create("gated")
    row = site.finish(run)
    assert row["status"] in ("success", "error")
    if row["status"] == "error":
        assert error_of(row)["message"], row
    client = site.client()
    assert client.threads.get(run["thread_id"])["status"] == (
        "idle" if row["status"] == "success" else "error"
    )
    assert client.threads.get_state(run["thread_id"])["values"]["log"][0] == "before"
    site.open_gate()
    assert site.finish(beside)["status"] == "success"
    after = site.create("steps", thread=run["thread_id"])
    assert site.finish(after)["status"] == "success"
    assert site.process.stop() == 0
    sound(site, allowed=rf"Run {run['run_id']}|Traceback")


def test_ten_thousand_events_reach_their_reader_in_order(site: Site) -> None:
    site.start()
    run = site.create("flood", {"many": 10_000}, stream_mode=["custom"])
    reader = Reader(site, run)
    assert site.finish(run, timeout=60)["status"] == "success"
    ids = reader.finish()
    read_everything(site, run, ids)
    told = [part.data["number"] for part in reader.parts if part.event == "custom"]
    assert told == list(range(10_000))
    assert site.process.stop() == 0
    sound(site)
