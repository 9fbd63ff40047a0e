"""Latency of interactive reads: a state, a history, a search among many threads.

And creations per second.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from statistics import median, quantiles
from typing import Any

import orjson

from tests.bench import texts
from tests.bench.client import Connection, connected
from tests.bench.loops import repeat
from tests.bench.processes import Child, Server
from tests.bench.rates import new_thread

Say = Callable[[str], None]

#: The number of searched threads, and of the read thread's checkpoints.
THREADS, CHECKPOINTS = 10_000, 100
RUN = {"assistant_id": "ten", "input": {"log": []}, "durability": "exit"}
#: The target medians in milliseconds.
GOALS = {
    "read-state": 5,
    "read-history-10": 15,
    "read-history-100": 15,
    "search": 8,
    "search-metadata": 8,
    "search-updated": 8,
    **dict.fromkeys(("search-text", "search-text-common", "search-text-two", "search-text-letters"), 50),
}
TITLES = {
    "read-state": "state read",
    "read-history-10": "history of 10",
    "read-history-100": "history of 100",
    "search": f"search among {THREADS:,} threads, newest first",
    "search-metadata": "the same, by what few have in their metadata",
    "search-updated": "the same, by their last change",
    "search-text": "the same, by a word that few have",
    "search-text-common": "the same, by a word that all have",
    "search-text-two": "the same, by two words",
    "search-text-letters": "the same, by two letters",
}
#: As the chat page asks.
SHOWN = {
    "limit": 50,
    "sort_by": "state_updated_at",
    "select": ["thread_id", "status", "interrupts", "metadata", "created_at", "state_updated_at"],
}
TEXTS = {
    "search-text": texts.RARE_WORD,
    "search-text-common": texts.COMMON_WORD,
    "search-text-two": f"ba {texts.COMMON_WORD}",
    "search-text-letters": "ba",
}
CREATION = "create-thread"
NAMES = [*GOALS, CREATION]


async def deep_thread(connection: Connection) -> str:
    """Create a thread with many checkpoints."""
    thread = await new_thread(connection)
    found = 0
    while found < CHECKPOINTS:
        await connection.post(f"/threads/{thread}/runs/wait", {**RUN, "durability": "async"})
        found = len(await connection.post(f"/threads/{thread}/history", {"limit": CHECKPOINTS}))
    return thread


async def many_threads(server: Server) -> None:
    """Create the threads to search; one in a thousand has distinct metadata."""
    async with connected(server.port, 8) as connections:

        async def create(worker: int) -> int:
            nonlocal made
            made += 1
            metadata = {"graph_id": "ten", "project": "rare" if made % 1000 == 0 else f"p{made % 10}"}
            await connections[worker].post("/threads", {"metadata": metadata})
            return 1

        made = 0
        while made < THREADS:
            await repeat(create, workers=8, seconds=1)


async def with_texts(server: Server) -> None:
    """Give the threads a text."""
    child = await Child.start("-m", "tests.bench.texts", log=server.log, environment=server.environment)
    await child.line(timeout=600)
    await child.ended()


def request_of(name: str, thread: str) -> tuple[str, str, bytes]:
    """A case's method, path and body."""
    match name:
        case "read-state":
            return "GET", f"/threads/{thread}/state", b""
        case "read-history-10" | "read-history-100":
            limit = int(name.removeprefix("read-history-"))
            return "POST", f"/threads/{thread}/history", orjson.dumps({"limit": limit})
        case "search-metadata":
            return "POST", "/threads/search", orjson.dumps({"metadata": {"project": "rare"}})
        case "search-updated":
            return "POST", "/threads/search", orjson.dumps({"sort_by": "updated_at"})
    if name in TEXTS:
        return "POST", "/threads/search", orjson.dumps({**SHOWN, "text": TEXTS[name]})
    return "POST", "/threads/search", b"{}"


async def delays(connection: Connection, request: tuple[str, str, bytes], samples: int) -> list[float]:
    """Milliseconds from sending a request to its answer's last byte."""
    method, path, body = request
    found = []
    for number in range(samples + 10):
        sent = time.perf_counter()
        await connection.request(method, path, body)
        if number >= 10:
            found.append((time.perf_counter() - sent) * 1000)
    return found


def row(name: str, found: list[float]) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"(r) {TITLES[name]}, {len(found)} samples",
        "p50": median(found),
        "p95": quantiles(found, n=100, method="inclusive")[94],
        "goal": GOALS[name],
        "rounds": 1,
    }


async def measure(
    names: list[str], server: Server, *, samples: int, seconds: float, say: Say
) -> list[dict[str, Any]]:
    """Measure the chosen cases; return the table's rows."""
    rows: list[dict[str, Any]] = []
    if CREATION in names:
        rows.append(await creations(server, seconds))
        say(f"{CREATION}: {rows[-1]['server']:.0f} threads/s")
    wanted = [name for name in GOALS if name in names]
    if any(name.startswith("search") for name in wanted):
        await many_threads(server)
    if any(name in TEXTS for name in wanted):
        await with_texts(server)
    async with connected(server.port, 1) as (connection,):
        thread = await deep_thread(connection) if wanted else ""
        for name in wanted:
            rows.append(row(name, await delays(connection, request_of(name, thread), samples)))
            say(f"{name}: p50 {rows[-1]['p50']:.1f} ms, p95 {rows[-1]['p95']:.1f} ms")
    return rows


async def creations(server: Server, seconds: float) -> dict[str, Any]:
    """Measure threads created per second by several concurrent clients."""
    async with connected(server.port, 4) as connections:
        create: Callable[[int], Awaitable[int]] = lambda worker: _create(connections[worker])  # noqa: E731
        await repeat(create, workers=4, seconds=0)
        tally = await repeat(create, workers=4, seconds=seconds)
    return {
        "name": CREATION,
        "title": "(r) threads created, 4 at once",
        "unit": "threads/s",
        "server": tally.rate,
        "seconds": seconds,
        "rounds": 1,
    }


async def _create(connection: Connection) -> int:
    await new_thread(connection)
    return 1
