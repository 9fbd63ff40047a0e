"""Threads for synchronous work."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from threads.db.executors import DaemonThreads


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
