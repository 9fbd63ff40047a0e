"""Websockets of one process: 1,000 idle ones, 200 that stream beside them, and readers that never read."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

from tests.bench.client import RequestError
from tests.bench.loops import cpu_seconds, resident_bytes
from tests.bench.processes import Server, serving

NAME = "sockets"
IDLE, STREAMING, DEAF = 1000, 200, 50
#: Sockets that connect at the same time.
AT_ONCE = 50
#: Seconds for all sockets to connect, or for all runs to end.
PATIENCE = 300.0
#: Tokens of each streaming socket, and seconds between two of them.
TOKENS, PAUSE = 200, 0.1
#: Seconds between the starts of two runs: all stream together for half of the time. A process starts fewer than a
#: hundred runs each second, and while it is asked for more, its tokens wait behind their starts.
BETWEEN = 0.05
#: Words for a reader that never reads: some megabytes of events.
WORDS = 20_000
#: Seconds after which a reader that never reads is disconnected.
STALL = 5.0
#: Bytes that its kernel takes for it: with the usual megabytes the server would not notice.
UNREAD = 64 * 1024
SETTINGS = {
    "USER_CONNECTIONS": 0,
    "USER_RUNS_PER_MINUTE": 0,
    "USER_QUEUE": 0,
    "CONCURRENCY": 300,
    "SOCKET_STALL": STALL,
}
CHANNELS = ["values", "messages", "tools", "lifecycle", "input"]
HANDSHAKE = (
    "GET /threads/%s/stream/events HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
STAMP = re.compile(rb'"text":"@(\d+) "')
#: The end of a run at the root of its graph, and the server's ping and close frames.
END, PING, CLOSE = b'"event":"completed"', 0x89, 0x88

Say = Callable[[str], None]


class Socket(asyncio.Protocol):
    """A websocket whose events are searched and not parsed; its time is the test's, not the server's."""

    def __init__(self, thread: str) -> None:
        self.thread = thread
        self.delays: list[float] = []
        self.accepted, self.answered, self.ended = (asyncio.Event() for _ in range(3))
        self._head, self._rest = True, b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        data = self._rest + data
        if self._head:
            if b"\r\n\r\n" not in data:
                self._rest = data
                return
            self._head, data = False, data.partition(b"\r\n\r\n")[2]
            self.accepted.set()
        while (frame := complete(data)) is not None:
            kind, payload, data = frame
            if kind == PING:
                self.transport.write(b"\x8a" + bytes([0x80 | len(payload)]) + b"\0\0\0\0" + payload)
            if b'"type":"success"' in payload:
                self.answered.set()
            self.delays += [(now - int(stamp)) / 1e6 for stamp in STAMP.findall(payload)]
            if kind == CLOSE or END in payload:
                self.ended.set()
        self._rest = data

    def command(self, method: str, **params: Any) -> None:
        payload = json.dumps({"id": 1, "method": method, "params": params}).encode()
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
        self.transport.write(b"\x81" + length + b"\0\0\0\0" + payload)


def complete(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The first frame's first byte and payload, and what follows; None if it is not complete."""
    if len(data) < 2:
        return None
    length, start = data[1], 2
    if length == 126:
        length, start = int.from_bytes(data[2:4], "big"), 4
    elif length == 127:
        length, start = int.from_bytes(data[2:10], "big"), 10
    end = start + length
    return (data[0], data[start:end], data[end:]) if len(data) >= end and len(data) >= start else None


async def connected(server: Server, thread: str, *, receives: int | None = None) -> Socket:
    """A websocket to a thread; `receives` are the bytes that its kernel takes unread, by default megabytes."""
    loop = asyncio.get_running_loop()
    link = socket.socket()
    if receives is not None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    link.setblocking(False)
    await loop.sock_connect(link, ("127.0.0.1", server.port))
    _, made = await loop.create_connection(lambda: Socket(thread), sock=link)
    made.transport.write((HANDSHAKE % thread).encode())
    await made.accepted.wait()
    return made


@asynccontextmanager
async def opened(server: Server, count: int) -> AsyncIterator[list[Socket]]:
    """Subscribed sockets, each on a thread of its own."""
    sockets: list[Socket] = []
    turn = asyncio.Semaphore(AT_ONCE)

    async def add() -> None:
        async with turn, asyncio.timeout(PATIENCE):
            sockets.append(each := await connected(server, str(uuid4())))
            each.command("subscription.subscribe", channels=CHANNELS)
            await each.answered.wait()

    try:
        await asyncio.gather(*(add() for _ in range(count)))
        yield sockets
    finally:
        for each in sockets:
            each.transport.abort()


async def stream(sockets: list[Socket]) -> list[float]:
    """Let each socket start a run and read it; return the ways of all tokens, in milliseconds."""
    for each in sockets:
        said = {"messages": [{"role": "user", "content": "hi"}], "tokens": TOKENS, "pause": PAUSE}
        each.command("run.start", assistant_id="stamped", input=said)
        await asyncio.sleep(BETWEEN)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(each.ended.wait() for each in sockets))
    if missing := [len(each.delays) for each in sockets if len(each.delays) != TOKENS]:
        raise RequestError(f"{len(missing)} sockets did not get all {TOKENS} tokens: {missing[:5]}")
    return [delay for each in sockets for delay in each.delays]


async def never_read(server: Server) -> tuple[float, int]:
    """Bytes of memory that a reader costs which never reads, and how many of them were disconnected."""
    async with opened(server, 1) as (teller,):
        said = {"messages": [{"role": "user", "content": "hi"}], "tokens": WORDS, "pause": 0.0}
        teller.command("run.start", assistant_id="tokens", input=said)
        async with asyncio.timeout(PATIENCE):
            await teller.ended.wait()
        before = most = resident_bytes(server.pid)
        deaf = [await connected(server, teller.thread, receives=UNREAD) for _ in range(DEAF)]
        for each in deaf:
            each.transport.pause_reading()
            each.command("subscription.subscribe", channels=CHANNELS)
        began = time.monotonic()
        while time.monotonic() - began < STALL + 10:
            most = max(most, resident_bytes(server.pid))
            await asyncio.sleep(0.2)
        for each in deaf:
            each.transport.resume_reading()
        await asyncio.sleep(2)
        return (most - before) / DEAF, sum(each.ended.is_set() for each in deaf)


async def measure(folder: Path, url: str | None, *, rounds: int, say: Say) -> list[dict[str, Any]]:
    """One fresh server for each round."""
    found = []
    for number in range(rounds):
        place = folder / str(number)
        async with serving(place, url, RUN_SETTINGS=json.dumps(SETTINGS)) as server:
            found.append(await one_round(server))
        shown = ", ".join(f"{name} {value:.1f}" for name, value in found[-1].items())
        say(f"{NAME} {number + 1}/{rounds}: {shown}")
    return rows({name: median(each[name] for each in found) for name in found[0]}, rounds)


async def one_round(server: Server) -> dict[str, float]:
    async with opened(server, 50):
        pass
    await asyncio.sleep(1)
    before = resident_bytes(server.pid)
    async with opened(server, IDLE):
        # After the first pings.
        await asyncio.sleep(5)
        memory, began, used = resident_bytes(server.pid) - before, time.monotonic(), cpu_seconds(server.pid)
        await asyncio.sleep(5)
        idling = (cpu_seconds(server.pid) - used) / (time.monotonic() - began)
        async with opened(server, STREAMING) as streaming:
            used, began = cpu_seconds(server.pid), time.monotonic()
            ways = await stream(streaming)
            busy = (cpu_seconds(server.pid) - used) / (time.monotonic() - began)
    cost, disconnected = await never_read(server)
    return {
        "kB an idle socket": memory / IDLE / 1000, "% of a core idle": idling * 100,
        "p50 ms": median(ways), "p95 ms": quantiles(ways, n=20)[-1], "p99 ms": quantiles(ways, n=100)[-1],
        "% of a core streaming": busy * 100, "kB a deaf reader": cost / 1000, "disconnected": disconnected,
    }  # fmt: skip


def rows(found: dict[str, float], rounds: int) -> list[dict[str, Any]]:
    def row(title: str, shown: str, *, goal: str = "", note: str = "") -> dict[str, Any]:
        return {"name": NAME, "title": title, "shown": shown, "note": note, "goal": goal, "rounds": rounds}

    rate = round(STREAMING / PAUSE)
    return [
        row(
            f"{IDLE:,} idle websockets: memory of each", f"{found['kB an idle socket']:.1f} kB", goal="<= 60 kB",
            note=f"{found['% of a core idle']:.1f} % of a core for all",
        ),
        row(
            f"a token's way to {STREAMING} websockets beside them, {rate:,} tokens/s",
            f"p50 {found['p50 ms']:.1f}, p95 {found['p95 ms']:.1f} ms", goal="p95 <= 50 ms",
            note=f"p99 {found['p99 ms']:.1f} ms, {found['% of a core streaming']:.0f} % of a core",
        ),
        row(
            f"a reader of {WORDS:,} tokens that never reads: memory", f"{found['kB a deaf reader']:.1f} kB",
            note=f"{found['disconnected']:.0f} of {DEAF} disconnected after {STALL:g} s",
        ),
    ]  # fmt: skip
