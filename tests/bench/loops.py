"""The measuring loop of both sides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """The work done and its seconds; `count` is in the case's unit, runs or tokens."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds


async def repeat(work: Callable[[int], Awaitable[int]], *, workers: int, seconds: float) -> Tally:
    """Let each worker call `work(worker)` repeatedly, at least once.

    No call begins after `seconds`.

    `work` returns the amount done. The time lasts until the last call has ended.
    """
    began = time.perf_counter()

    async def worker(number: int) -> int:
        count = await work(number)
        while time.perf_counter() - began < seconds:
            count += await work(number)
        return count

    counts = await asyncio.gather(*(worker(number) for number in range(workers)))
    return Tally(sum(counts), time.perf_counter() - began)


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used so far, all threads, user and system (Linux)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100  # USER_HZ


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in RAM (Linux)."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096
