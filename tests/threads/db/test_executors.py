"""Threads for synchronous work."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from threads.db import executors
from threads.db.executors import DaemonThreads, NodeThreads, executed_by


def test_as_many_calls_run_at_once_as_there_may_be_threads() -> None:
    pool, gate = DaemonThreads(3, "test"), threading.Barrier(4)
    calls = [pool.submit(gate.wait, 5) for _ in range(3)]
    gate.wait(5)
    assert sorted(call.result(5) for call in calls) != []
    pool.shutdown()


def test_idle_threads_take_the_next_calls() -> None:
    pool = DaemonThreads(8, "test")
    names = set()
    for _ in range(20):
        names.add(pool.submit(lambda: threading.current_thread().name).result(5))
        time.sleep(0.005)
    assert names == {"test-1"}
    pool.shutdown()


def test_what_a_call_raises_reaches_its_caller_and_the_thread_goes_on() -> None:
    pool = DaemonThreads(1, "test")
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(5)
    assert pool.submit(lambda: 1).result(5) == 1
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutting down"):
        pool.submit(lambda: 1)


async def becomes(pool: DaemonThreads, *, busy: int, abandoned: int = 0, waiting: int = 0) -> None:
    async with asyncio.timeout(5):
        while (pool.busy, pool.abandoned, pool.waiting) != (busy, abandoned, waiting):
            await asyncio.sleep(0.005)


async def test_a_thread_whose_caller_was_cancelled_is_replaced_until_its_call_ends() -> None:
    pool, release = DaemonThreads(2, "test"), threading.Event()
    loop = asyncio.get_running_loop()
    hanging = [loop.run_in_executor(pool, release.wait, 30) for _ in range(2)]
    waiting = loop.run_in_executor(pool, lambda: "done")
    await becomes(pool, busy=2, waiting=1)
    hanging[0].cancel()
    assert await asyncio.wait_for(waiting, 5) == "done"
    hanging[1].cancel()
    await becomes(pool, busy=2, abandoned=2)
    gate = threading.Barrier(3)
    together = [loop.run_in_executor(pool, gate.wait, 5) for _ in range(2)]
    await asyncio.to_thread(gate.wait, 5)
    await asyncio.gather(*together)
    release.set()
    await becomes(pool, busy=0)
    # There are two threads again: a third call waits.
    release.clear()
    calls = [loop.run_in_executor(pool, release.wait, 5) for _ in range(3)]
    await becomes(pool, busy=2, waiting=1)
    release.set()
    await asyncio.gather(*calls)
    pool.shutdown()


async def test_abandoned_threads_are_replaced_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(executors, "MOST_ABANDONED", 3)
    pool, release = DaemonThreads(1, "test"), threading.Event()
    loop = asyncio.get_running_loop()
    for number in range(4):
        call = loop.run_in_executor(pool, release.wait, 30)
        await becomes(pool, busy=number + 1, abandoned=number)
        call.cancel()
    await becomes(pool, busy=4, abandoned=4)
    assert "No more of them are replaced" in caplog.text
    last = loop.run_in_executor(pool, lambda: "done")
    await becomes(pool, busy=4, abandoned=4, waiting=1)
    release.set()
    assert await asyncio.wait_for(last, 5) == "done"
    pool.shutdown()


async def test_a_block_may_choose_the_threads_of_what_it_gives_to_the_default_executor() -> None:
    nodes, others = NodeThreads(1, "nodes"), DaemonThreads(1, "others")
    asyncio.get_running_loop().set_default_executor(nodes)
    name = lambda: threading.current_thread().name  # noqa: E731
    with executed_by(others):
        assert await asyncio.to_thread(name) == "others-1"
    assert await asyncio.to_thread(name) == "nodes-1"


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    code = """
import asyncio, time
from threads.db.executors import DaemonThreads
async def main():
    asyncio.get_running_loop().set_default_executor(DaemonThreads(2, "test"))
    asyncio.ensure_future(asyncio.to_thread(time.sleep, 60))
    await asyncio.sleep(0.2)
asyncio.run(main())
"""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert time.monotonic() - began < 20
