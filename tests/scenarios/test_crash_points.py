"""Each write of a run is a point where its process may crash: before it, or after it.

The dead man: from one write on, the storage refuses everything, as if the process were dead. Then
the run is recovered as by reconcile, and a new attempt resumes it. (Method and expectations:
durability §2.3.)
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runs.lifecycle.orphan_settlement import ThreadLocked, settle_orphan
from runs.models import Run
from tests.support.driving import Driver
from threads.checkpoints import Fenced, Rows
from threads.db.database import in_database


class DeadMan:
    """Replaces the storage's group commit; crashes at the `point`-th write."""

    def __init__(self, storage: Any, *, point: int, when: str) -> None:
        self.real, self.point, self.when = storage.commits, point, when
        self.serde, self.retry_seconds = storage.serde, storage.commits.retry_seconds
        self.count = 0
        self.dead = False
        self.died = asyncio.Event()
        #: Log entries whose task's result has landed.
        self.landed: set[str] = set()

    def die(self) -> None:
        """Crash at once, between two writes."""
        self.dead = True
        self.died.set()

    def submit(self, rows: Rows) -> asyncio.Future[None]:
        self.count += 1
        if self.count == self.point:
            self.dead = True
            if self.when == "after":
                return self._last(rows)
        if self.dead:
            return self._refuse(asyncio.get_running_loop().create_future())
        future = self.real.submit(rows)
        future.add_done_callback(lambda done: None if done.exception() else self._note(rows))
        return future

    def _note(self, rows: Rows) -> None:
        for _, channel, kind, blob in rows.writes.values():
            if channel == "log":
                self.landed.update(self.serde.loads_typed((kind, blob)))

    def _last(self, rows: Rows) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def landed(done: asyncio.Future[None]) -> None:
            assert done.exception() is None
            self._note(rows)
            self._refuse(answer)

        self.real.submit(rows).add_done_callback(landed)
        return answer

    def _refuse(self, answer: asyncio.Future[None]) -> asyncio.Future[None]:
        answer.set_exception(Fenced("The process died here."))
        self.died.set()
        return answer

    async def close(self) -> None:
        await self.real.close()


async def recovered(run: Run) -> bool:
    """Recover a run, once its dead process's last write releases the thread."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await in_database(settle_orphan, run, resume=True)
            except ThreadLocked:
                await asyncio.sleep(0.01)


async def survive(driver: Driver, run: Run, dead_man: DeadMan) -> Run:
    """Wait for a run's end; if its process died meanwhile, recover it first."""
    finished = asyncio.create_task(driver.finish(run))
    died = asyncio.create_task(dead_man.died.wait())
    await asyncio.wait([finished, died], return_when=asyncio.FIRST_COMPLETED)
    if not finished.done() and dead_man.died.is_set():
        manager = driver.runtime.manager
        assert manager is not None
        async with asyncio.timeout(20):
            while run.id in manager.active:
                await asyncio.sleep(0.002)
        driver.runtime.storage.commits = dead_man.real
        dead_man.died.clear()
        row = await driver.row(run)
        if row.status == "running":
            assert await recovered(row)
            driver.runtime.work_added()
        else:
            # A graph that fails by itself may end while a write of a task beside is under way.
            assert row.status == "error"
    died.cancel()
    return await finished


async def die_at(driver: Driver, point: int, when: str, durability: str) -> tuple[bool, DeadMan, list[Run]]:
    """Answer the three interrupts of `questions`, with a crash at one write."""
    dead_man = DeadMan(driver.runtime.storage, point=point, when=when)
    driver.runtime.storage.commits = dead_man  # type: ignore[assignment]
    runs = [await survive(driver, await driver.start("questions", durability=durability), dead_man)]
    thread = runs[0].thread_id
    for asked in ("first", "second", "third"):
        questions = [each for found in runs[-1].thread.interrupts.values() for each in found]
        assert [each["value"] for each in questions] == [{"question": asked}]
        assert runs[-1].status == "success"
        assert runs[-1].thread.status == "interrupted"
        run = await driver.resume("questions", f"to {asked}", thread=thread, durability=durability)
        runs.append(await survive(driver, run, dead_man))
    driver.runtime.storage.commits = dead_man.real
    return dead_man.dead, dead_man, runs


EXPECTED = ["p1", "p2", "first=to first", "second=to second", "before", "third=to third", "last"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_a_death_at_any_write_of_a_dialogue_loses_and_repeats_nothing(
    driver: Driver, durability: str, when: str
) -> None:
    point, dead = 0, True
    while dead:
        point += 1
        driver.trace_file.unlink(missing_ok=True)
        dead, dead_man, runs = await die_at(driver, point, when, durability)
        label = f"{durability}, {when} write {point}"
        assert [run.status for run in runs] == ["success"] * 4, label
        last = runs[-1].thread
        assert last.values["log"] == EXPECTED, label
        assert last.status == "idle", label
        assert last.interrupts == {}, label
        executions = sum(
            (driver.executions(run) for run in runs), start=driver.executions(runs[0]).__class__()
        )
        once = {"p1", "p2", "before", "last"}
        for name in once:
            allowed = 1 + (1 if dead else 0)
            if durability == "sync" and name in dead_man.landed and name != "before":
                allowed = 1
            assert executions[name] <= allowed, f"{label}: {name} was executed {executions[name]} times"
        # Three interrupts with answers: LangGraph executes the node again for each answer.
        assert executions["both"] <= 3 + (1 if dead else 0), label
    assert point > (5 if durability == "exit" else 20)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_death_at_any_write_repeats_at_most_the_unfinished_superstep(
    driver: Driver, durability: str, when: str
) -> None:
    point, dead = 0, True
    while dead:
        point += 1
        driver.trace_file.unlink(missing_ok=True)
        dead_man = DeadMan(driver.runtime.storage, point=point, when=when)
        driver.runtime.storage.commits = dead_man  # type: ignore[assignment]
        run = await survive(driver, await driver.start("parallel", durability=durability), dead_man)
        driver.runtime.storage.commits = dead_man.real
        dead = dead_man.dead
        label = f"{durability}, {when} write {point}"
        assert run.thread.values["log"] == ["a", "b1", "b2", "c"], label
        executions = driver.executions(run)
        if durability == "sync":
            # In `async` a task's result may land before the checkpoint that it belongs to.
            for name in dead_man.landed:
                assert executions[name] == 1, f"{label}: {name} had landed and was executed again"
        repeated = {name for name, count in executions.items() if count > 1}
        steps = [{"a"}, {"b1", "b2"}, {"c"}]
        touched = sum(1 for step in steps if step & repeated)
        assert touched <= (1 if durability == "sync" else 2), f"{label}: {repeated}"
        assert max(executions.values()) <= 2, label
    assert point > 5
