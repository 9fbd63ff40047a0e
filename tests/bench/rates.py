"""The cases with a limit: runs or tokens per second, compared with the bare loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson

from tests.bench.client import Connection, Events, RequestError, connected
from tests.bench.loops import Tally, repeat
from tests.bench.processes import Bare, Server

TOKENS = 1000
LOG: dict[str, Any] = {"log": []}
TALK: dict[str, Any] = {"messages": [{"role": "user", "content": "talk"}], "tokens": TOKENS}


@dataclass(frozen=True)
class Rate:
    """A case that both sides repeat.

    Args:
        path: The server's route; each run has a new thread if the path contains one.
        tokens: The tokens that a run streams, if they are counted.
        goal, peer: The target share of the bare loop, and that of the best comparable durable
            server.
    """

    name: str
    title: str
    graph: str
    workers: int
    path: str
    goal: float
    peer: float
    tokens: int = 0

    @property
    def unit(self) -> str:
        return "tokens/s" if self.tokens else "runs/s"

    @property
    def modes(self) -> list[str]:
        return ["messages-tuple"] if self.tokens else ["values"]

    @property
    def input(self) -> dict[str, Any]:
        return TALK if self.tokens else LOG

    def order(self, seconds: float) -> dict[str, Any]:
        """The case as an order to the bare loop."""
        return {
            "graph": self.graph,
            "input": self.input,
            "modes": self.modes,
            "events": self.tokens,
            "workers": self.workers,
            "seconds": seconds,
        }

    @property
    def body(self) -> dict[str, Any]:
        return {
            "assistant_id": self.graph,
            "input": self.input,
            "stream_mode": self.modes,
            "durability": "async",
        }


def _pair(letter: str, name: str, what: str, many: int, **options: Any) -> list[Rate]:
    return [
        Rate(f"{name}-{workers}", f"({letter}) {what}, {workers} at once", workers=workers, **options)
        for workers in (1, many)
    ]


ONE: dict[str, Any] = {"graph": "one", "goal": 0.6, "peer": 0.14}
IN_THREAD = "/threads/{}/runs"
RATES = [
    *_pair("a", "one", "one-node runs", 20, path=f"{IN_THREAD}/wait", **ONE),
    *_pair("a", "stateless", "one-node runs, stateless", 20, path="/runs/wait", **ONE),
    *_pair("b", "ten", "10-step runs", 20, path=f"{IN_THREAD}/wait", graph="ten", goal=0.8, peer=0.33),
    *_pair(
        "c", "tokens", f"{TOKENS}-token streams", 50, path=f"{IN_THREAD}/stream", graph="tokens", goal=0.75, peer=0.34,
        tokens=TOKENS,
    ),
]  # fmt: skip


async def new_thread(connection: Connection) -> str:
    return str((await connection.post("/threads", {}))["thread_id"])


def runner(rate: Rate, connections: list[Connection]) -> Any:
    """Execute one run over a worker's connection, from the thread's creation to the last byte.

    Return its count.
    """
    body = orjson.dumps(rate.body)

    async def run(worker: int) -> int:
        connection = connections[worker]
        path = rate.path.format(await new_thread(connection)) if "{}" in rate.path else rate.path
        if not rate.tokens:
            answer = await connection.request("POST", path, body)
            if b'"log":["s0"' not in answer:
                raise RequestError(f"{rate.name}: the result was {answer[:500]!r}")
            return 1
        events = Events("messages")
        await connection.request("POST", path, body, on_data=events)
        if events.failed or events.count != rate.tokens:
            raise RequestError(f"{rate.name}: {events.count} tokens arrived, not {rate.tokens}.")
        return events.count

    return run


async def measure_server(rate: Rate, server: Server, seconds: float) -> Tally:
    async with connected(server.port, rate.workers) as connections:
        return await repeat(runner(rate, connections), workers=rate.workers, seconds=seconds)


async def warm_up(rate: Rate, server: Server, bare: Bare | None) -> None:
    """Do imports, compilation and connections before the measurement."""
    workers = min(rate.workers, 5)
    async with connected(server.port, workers) as connections:
        await repeat(runner(rate, connections), workers=workers, seconds=0)
    if bare is not None:
        await bare.measure(rate.order(0) | {"workers": workers})


async def compare(
    rate: Rate, server: Server, bare: Bare, *, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure both sides in turn.

    The result is the median ratio of the rounds, because the machine's speed varies.
    """
    await warm_up(rate, server, bare)
    limits, rates, cpu = [], [], {"bare": 0.0, "server": 0.0, "client": 0.0}
    counts = [0, 0]
    for number in range(rounds):
        limit, spent = await bare.measure(rate.order(seconds))
        before, own = server.cpu, time.process_time()
        tally = await measure_server(rate, server, seconds)
        cpu["bare"] += spent
        cpu["server"] += server.cpu - before
        cpu["client"] += time.process_time() - own
        counts = [counts[0] + limit.count, counts[1] + tally.count]
        limits.append(limit.rate)
        rates.append(tally.rate)
        load = os.getloadavg()[0]
        say(
            f"{rate.name} {number + 1}/{rounds}: bare {limit.rate:.1f}, server {tally.rate:.1f} {rate.unit} (load {load:.1f})"
        )
    ratios = [rate / limit for rate, limit in zip(rates, limits, strict=True)]
    return {
        "name": rate.name,
        "title": rate.title,
        "unit": rate.unit,
        "bare": median(limits),
        "server": median(rates),
        "ratio": median(ratios),
        "ratios": sorted(ratios),
        "goal": rate.goal,
        "peer": rate.peer,
        "cpu_ms_per_run": {
            side: seconds * 1000 / counts[side != "bare"] * (rate.tokens or 1)
            for side, seconds in cpu.items()
        },
        "rounds": rounds,
    }
