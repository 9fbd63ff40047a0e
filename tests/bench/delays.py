"""The cases that have no bare counterpart: the first event, many readers of one run, many runs asleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import orjson

from tests.bench.client import Connection, Events, RequestError, connected
from tests.bench.loops import repeat, resident_bytes
from tests.bench.processes import Server
from tests.bench.rates import RATES, TALK, TOKENS, new_thread, runner

Say = Callable[[str], None]

READERS = 100
SLEEPERS, NAP = 500, 10.0
#: How long a run waits before its first token, so that all readers are connected by then.
GATHERING = 2.0


# --- the first event


@dataclass
class Clock:
    """The arrival of a stream's `metadata` event, and of the next event."""

    metadata: float = 0.0
    event: float = 0.0
    seen: bytes = b""

    def __call__(self, data: bytes) -> None:
        if self.event:
            return
        now = time.perf_counter()
        self.seen += data
        if not self.metadata and b"event: metadata" in self.seen:
            self.metadata = now
        if self.seen.count(b"event: ") > 1:
            self.event = now


async def first_events(server: Server, samples: int) -> tuple[list[float], list[float]]:
    """Milliseconds from sending the request, on an open connection, to `metadata` and to the next event."""
    body = orjson.dumps(
        {"assistant_id": "one", "input": {"log": []}, "stream_mode": ["values"], "durability": "async"}
    )
    metadata, events = [], []
    async with connected(server.port, 1) as (connection,):
        for _ in range(samples):
            path = f"/threads/{await new_thread(connection)}/runs/stream"
            clock = Clock()
            sent = time.perf_counter()
            await connection.request("POST", path, body, on_data=clock)
            if not clock.event:
                raise RequestError(f"The stream had no second event: {clock.seen[:500]!r}")
            metadata.append((clock.metadata - sent) * 1000)
            events.append((clock.event - sent) * 1000)
    return metadata, events


@asynccontextmanager
async def load(server: Server) -> AsyncIterator[None]:
    """Twenty 10-step runs at once, all the time."""
    rate = next(rate for rate in RATES if rate.name == "ten-20")
    async with connected(server.port, rate.workers) as connections:
        working = asyncio.create_task(repeat(runner(rate, connections), workers=rate.workers, seconds=3600))
        await asyncio.sleep(1)
        try:
            yield
            if working.done():
                working.result()
        finally:
            working.cancel()
            await asyncio.wait([working])


async def measure_first_event(server: Server, *, rounds: int, samples: int, say: Say) -> list[dict[str, Any]]:
    rows = []
    for loaded in (False, True):
        await first_events(server, 3)
        found = []
        for number in range(rounds):
            if loaded:
                async with load(server):
                    found.append(await first_events(server, samples))
            else:
                found.append(await first_events(server, samples))
            say(
                f"first-event {'loaded' if loaded else 'idle'} {number + 1}/{rounds}: {median(found[-1][0]):.1f} ms"
            )
        for which, name in enumerate(("metadata", "first other event")):
            goal, peer = ("< 10", "23") if not loaded else ("", "")
            rows.append(
                {
                    "name": "first-event",
                    "title": f"{name}, {'20 10-step runs beside' if loaded else 'idle'}",
                    "unit": "ms",
                    "p50": median(median(each[which]) for each in found),
                    "p95": median(quantiles(each[which], n=20)[-1] for each in found),
                    "goal": goal,
                    "peer": peer,
                    "rounds": rounds,
                }
            )
    return rows


# --- many readers of one run


@dataclass
class Gathering:
    """What a run's readers have received, and when."""

    began: float = 0.0
    ended: float = 0.0
    counts: list[Events] = field(default_factory=list)

    def reader(self) -> Callable[[bytes], None]:
        events = Events("messages")
        self.counts.append(events)

        def read(data: bytes) -> None:
            events(data)
            if events.count:
                self.ended = time.perf_counter()
                self.began = self.began or self.ended

        return read


async def readers(server: Server) -> tuple[float, float]:
    """Events per second of all readers together, and seconds from first to last event."""
    gathering = Gathering()
    async with connected(server.port, READERS) as connections:
        thread = await new_thread(connections[0])
        body = {
            "assistant_id": "tokens",
            "input": TALK | {"pause": GATHERING},
            "stream_mode": ["messages-tuple"],
        }
        run = await connections[0].post(f"/threads/{thread}/runs", body | {"stream_resumable": True})
        path = f"/threads/{thread}/runs/{run['run_id']}/stream"
        await asyncio.gather(
            *(
                each.request("GET", path, headers="Last-Event-ID: -1\r\n", on_data=gathering.reader())
                for each in connections
            )
        )
    if incomplete := [events.count for events in gathering.counts if events.count != TOKENS or events.failed]:
        raise RequestError(f"{len(incomplete)} readers did not get all {TOKENS} events: {incomplete[:5]}")
    seconds = gathering.ended - gathering.began
    return READERS * TOKENS / seconds, seconds


async def measure_readers(server: Server, *, rounds: int, say: Say) -> list[dict[str, Any]]:
    found = []
    for number in range(rounds):
        found.append(await readers(server))
        say(f"readers {number + 1}/{rounds}: {found[-1][0]:.0f} events/s in {found[-1][1]:.1f} s")
    return [
        {
            "name": "readers",
            "title": f"{READERS} readers of one {TOKENS}-token run, all complete",
            "unit": "events/s",
            "server": median(rate for rate, _ in found),
            "seconds": median(seconds for _, seconds in found),
            "rounds": rounds,
        }
    ]


# --- many runs asleep


async def sleepers(server: Server) -> tuple[float, float]:
    """Seconds from the first create call to the end of the last run, and the most memory meanwhile, in MB."""
    idle = peak = resident_bytes(server.pid)
    body = {"assistant_id": "asleep", "input": {"seconds": NAP}, "durability": "async"}
    runs: asyncio.Queue[str] = asyncio.Queue()
    left = iter(range(SLEEPERS))

    async def create(connection: Connection) -> None:
        for _ in left:
            thread = await new_thread(connection)
            run = await connection.post(f"/threads/{thread}/runs", body)
            runs.put_nowait(f"/threads/{thread}/runs/{run['run_id']}/join")

    async def join(connection: Connection) -> None:
        while not runs.empty():
            answer = await connection.request("GET", runs.get_nowait())
            if orjson.loads(answer) != {"seconds": 0.0}:
                raise RequestError(f"A sleeping run returned {answer[:500]!r}")

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident_bytes(server.pid))
            await asyncio.sleep(0.1)

    async with connected(server.port, 20) as connections:
        watching = asyncio.create_task(watch())
        began = time.perf_counter()
        await asyncio.gather(*map(create, connections))
        await asyncio.gather(*map(join, connections))
        seconds = time.perf_counter() - began
        watching.cancel()
    return seconds, (peak - idle) / 1e6


def sleepers_row(found: list[tuple[float, float]]) -> dict[str, Any]:
    return {
        "name": "sleepers",
        "title": f"{SLEEPERS} runs asleep for {NAP:g} s: the last is done, and memory",
        "unit": "s, MB",
        "seconds": median(seconds for seconds, _ in found),
        "megabytes": median(megabytes for _, megabytes in found),
        "goal": "< 12 s, < 150 MB",
        "peer": "18 s",
        "rounds": len(found),
    }
