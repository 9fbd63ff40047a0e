"""Delays between processes: dispatch, cancels, and recovery of a lost process's runs."""

from __future__ import annotations

import asyncio
import signal
import time
from statistics import median, quantiles
from typing import Any

from tests.bench.client import Connection, connected
from tests.bench.delays import Clock
from tests.bench.fleet import Fleet
from tests.bench.rates import new_thread

ONE = {"assistant_id": "one", "input": {"log": []}, "stream_mode": ["values"], "durability": "async"}
ASLEEP = {"assistant_id": "asleep", "input": {"seconds": 600.0}, "durability": "async"}
FROM_START = "Last-Event-ID: -1\r\n"


class Attempt:
    """Signals the first event of an attempt, and its time."""

    def __init__(self, number: int) -> None:
        self.came = asyncio.Event()
        self.at = 0.0
        self._mark = f'"attempt":{number}'.encode()
        self._seen = b""

    def __call__(self, data: bytes) -> None:
        self._seen += data
        if not self.came.is_set() and self._mark in self._seen.replace(b" ", b""):
            self.at = time.perf_counter()
            self.came.set()


async def create(connection: Connection, body: dict[str, Any]) -> tuple[str, str]:
    """Create a run on a new thread; return the run's id and its path."""
    thread = await new_thread(connection)
    run = await connection.post(f"/threads/{thread}/runs", body)
    return run["run_id"], f"/threads/{thread}/runs/{run['run_id']}"


async def dispatch(fleet: Fleet, samples: int) -> list[float]:
    """Milliseconds from the create call at one process to the run's first event at another one."""
    found = []
    async with (
        connected(fleet.fronts[0].port, 1) as (maker,),
        connected(fleet.fronts[1].port, 1) as (reader,),
    ):
        for _ in range(samples):
            thread, clock = await new_thread(maker), Clock()
            sent = time.perf_counter()
            run = await maker.post(f"/threads/{thread}/runs", ONE)
            path = f"/threads/{thread}/runs/{run['run_id']}/stream"
            await reader.request("GET", path, headers=FROM_START, on_data=clock)
            found.append((clock.metadata - sent) * 1000)
    return found


def claim_delays(fleet: Fleet, samples: int) -> list[float]:
    """Milliseconds from admission to claim of the newest runs, by the times in their rows."""
    query = "SELECT extract(epoch FROM started_at - created_at) * 1000 FROM runs_run ORDER BY created_at DESC LIMIT %s"
    return [float(milliseconds) for (milliseconds,) in fleet.rows(query, samples)]


async def cancels(fleet: Fleet, samples: int) -> list[float]:
    """Milliseconds from a cancel request at one process to its answer.

    Another process executes the run.
    """
    found = []
    async with (
        connected(fleet.fronts[0].port, 1) as (maker,),
        connected(fleet.fronts[1].port, 2) as (reader, canceller),
    ):
        for _ in range(samples):
            _, path = await create(maker, ASLEEP)
            attempt = Attempt(1)
            reading = asyncio.create_task(
                reader.request("GET", f"{path}/stream", headers=FROM_START, on_data=attempt)
            )
            await attempt.came.wait()
            sent = time.perf_counter()
            await canceller.request("POST", f"{path}/cancel?wait=true")
            found.append((time.perf_counter() - sent) * 1000)
            await reading
    return found


async def recovery(fleet: Fleet, number: signal.Signals) -> float:
    """Seconds from a signal to a run's worker to the next attempt's first event elsewhere."""
    async with (
        connected(fleet.fronts[0].port, 2) as (maker, canceller),
        connected(fleet.fronts[1].port, 1) as (reader,),
    ):
        run_id, path = await create(maker, ASLEEP)
        first, second = Attempt(1), Attempt(2)

        def read(data: bytes) -> None:
            first(data)
            second(data)

        reading = asyncio.create_task(
            reader.request("GET", f"{path}/stream", headers=FROM_START, on_data=read)
        )
        await first.came.wait()
        lost = fleet.owner(run_id)
        began = time.perf_counter()
        lost.signal(number)
        async with asyncio.timeout(60):
            await second.came.wait()
        await canceller.request("POST", f"{path}/cancel?wait=true")
        await reading
    if number is not signal.SIGKILL:
        lost.signal(signal.SIGKILL)
    await lost.ended()
    fleet.workers.remove(lost)
    await fleet.add_worker()
    return second.at - began


def delay_row(name: str, title: str, found: list[float], *, goal: str = "") -> dict[str, Any]:
    cuts = quantiles(found, n=100, method="inclusive")
    return {
        "name": name, "title": f"{title}, {len(found)} samples", "unit": "ms", "p50": median(found),
        "p95": cuts[94], "p99": cuts[98], "max": max(found), "goal": goal, "rounds": 1,
    }  # fmt: skip


def seconds_row(name: str, title: str, found: list[float]) -> dict[str, Any]:
    return delay_row(name, title, [seconds * 1000 for seconds in found])
