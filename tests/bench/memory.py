"""The store: puts, gets and searches of one user with many items, over HTTP."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import orjson

from tests.bench.client import Connection, connected
from tests.bench.processes import serving

NAME = "store"
ITEMS, FOLDERS = 10_000, 100
#: Items with a vector, and the length of their vectors.
EMBEDDED, DIMS = 1000, 384
SETTINGS = {"STORE": {"index": {"embed": "tests.bench.memory:embed", "dims": DIMS, "fields": ["text"]}}}

Request = Callable[[Connection, int], Awaitable[Any]]


def embed(texts: list[str]) -> list[list[float]]:
    """Cheap, deterministic vectors."""
    return [
        [generator.gauss(0, 1) for _ in range(DIMS)] for text in texts for generator in [random.Random(text)]
    ]


def item(number: int) -> dict[str, Any]:
    return {
        "namespace": ["bench", f"folder-{number % FOLDERS}"],
        "key": f"item-{number}",
        "value": {
            "number": number,
            "kind": f"kind-{number % 1000}",
            "text": f"What is known about {number}. " * 5,
        },
        "index": False,
    }


async def put(connection: Connection, number: int) -> None:
    await connection.request("PUT", "/store/items", orjson.dumps(item(number % ITEMS)))


async def put_embedded(connection: Connection, number: int) -> None:
    body = {"namespace": ["embedded"], "key": f"item-{number}", "value": {"text": f"text {number}"}}
    await connection.request("PUT", "/store/items", orjson.dumps(body))


async def get(connection: Connection, number: int) -> None:
    number = number * 7 % ITEMS
    await connection.request(
        "GET", f"/store/items?namespace=bench.folder-{number % FOLDERS}&key=item-{number}"
    )


def search(**body: Any) -> Request:
    async def request(connection: Connection, number: int) -> None:
        found = await connection.post("/store/items/search", body)
        assert len(found["items"]) == 10, "the search did not find what was put"

    return request


CASES: list[tuple[str, Request]] = [
    ("put, replacing", put),
    ("get", get),
    ("search, everything", search()),
    ("search, a namespace of 100", search(namespace_prefix=["bench", "folder-7"])),
    ("search, by a text that 10 items have", search(filter={"kind": "kind-7"})),
    ("search, by a number that 10 items have", search(filter={"number": {"$lt": 10}})),
    (
        f"search, nearest of {EMBEDDED:,} vectors of {DIMS}",
        search(namespace_prefix=["embedded"], query="text 5"),
    ),
]


async def fill(port: int, count: int, request: Request) -> float:
    """Put `count` items over 20 connections; return the rate per second."""
    began = time.perf_counter()
    async with connected(port, 20) as connections:

        async def work(first: int) -> None:
            for number in range(first, count, len(connections)):
                await request(connections[first], number)

        await asyncio.gather(*map(work, range(len(connections))))
    return count / (time.perf_counter() - began)


async def measure(
    folder: Path, url: str | None, *, rounds: int, samples: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure the cases by sequential requests to a fresh server, in milliseconds."""
    rows: list[dict[str, Any]] = []
    async with serving(folder, url, RUN_SETTINGS=json.dumps(SETTINGS)) as server:
        rate = await fill(server.port, ITEMS, put)
        say(f"{NAME}: {rate:.0f} puts/s, 20 at once")
        await fill(server.port, EMBEDDED, put_embedded)
        async with connected(server.port, 1) as (connection,):
            for case, request in CASES:
                found = [await times(connection, request, samples) for _ in range(rounds)]
                p50 = median(median(each) for each in found)
                p95 = median(quantiles(each, n=20)[-1] for each in found)
                title = f"store of {ITEMS:,} items: {case}"
                rows.append(
                    {"name": NAME, "title": title, "unit": "ms", "p50": p50, "p95": p95, "rounds": rounds}
                )
                say(f"{title}: {p50:.1f} ms")
    return rows


async def times(connection: Connection, request: Request, samples: int) -> list[float]:
    await request(connection, 0)
    found = []
    for number in range(samples):
        began = time.perf_counter()
        await request(connection, number)
        found.append((time.perf_counter() - began) * 1000)
    return found
