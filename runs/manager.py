"""RunManager: this process's worker. It claims runs, executes them, notices cancels and lost leases, and drains."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from runs import claims, housekeeping, recovery
from runs.conf import settings
from runs.events import EventHub, RunStream
from runs.execution import Execution
from runs.leases import Lease, mark_draining
from runs.models import Run
from runs.outcomes import Ending, Outcome, Stop, describe
from runs.settlement import settle_outcome
from runs.wakeups import WORK, Wakeups
from threads.checkpoints import CheckpointStorage
from threads.database import in_database

logger = logging.getLogger(__name__)

#: Runs claimed in one transaction at most.
CLAIM_BATCH = 20
#: Shares of the drain's time: until when runs may end by themselves, and until when they may end after a cancel.
ASK_SHARE, CANCEL_SHARE = 0.6, 0.8


@dataclass(slots=True)
class Active:
    """A run that this process executes."""

    execution: Execution
    stream: RunStream
    task: asyncio.Task[None]


@dataclass(slots=True)
class Slot:
    """A place for one run, reserved before its admission so that it can be claimed in the same transaction."""

    manager: RunManager
    worker_id: UUID

    def start(self, run: Run) -> None:
        self.release()
        self.manager.start(run)

    def release(self) -> None:
        self.manager.reserved -= 1


class RunManager:
    """Executes up to `CONCURRENCY` runs at once, from entering until the drain at its exit."""

    def __init__(self, *, storage: CheckpointStorage, hub: EventHub, wakeups: Wakeups) -> None:
        self.reserved = 0
        self.draining = False
        self._storage = storage
        self._hub = hub
        self._wakeups = wakeups
        self._lease = Lease()
        self._active: dict[UUID, Active] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._look = asyncio.Event()

    @property
    def worker_id(self) -> UUID:
        return self._lease.worker_id

    async def __aenter__(self) -> Self:
        await self._lease.begin(concurrency=settings.CONCURRENCY)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.drain()

    def begin(self) -> None:
        """Start claiming. Startup's steps, recovery among them, are done by then."""
        self._loops = [
            self._spawn(self._every(lambda: settings.HEARTBEAT, self._renew), "heartbeat"),
            self._spawn(self._every(lambda: settings.SWEEP * random.uniform(0.8, 1.2), self._sweep), "sweep"),
            self._spawn(self._dispatch(), "dispatch"),
            self._spawn(self._watch(), "watch"),
        ]

    @staticmethod
    def _spawn(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        # A fresh context: a long-lived task must not inherit a request's thread and connection.
        return asyncio.create_task(coroutine, name=name, context=contextvars.Context())

    # --- slots and starts

    @property
    def free(self) -> int:
        return settings.CONCURRENCY - len(self._active) - self.reserved

    def reserve(self) -> Slot | None:
        """Reserve a place for a run that is about to be admitted, if there is one."""
        if self.draining or self.free <= 0 or not self._lease.trusted:
            return None
        self.reserved += 1
        return Slot(self, self.worker_id)

    def start(self, run: Run) -> None:
        """Execute a claimed run."""
        stream = self._hub.open(run.id, thread_id=run.thread_id, epoch=run.epoch, first=run.attempt == 1)
        execution = Execution(run, storage=self._storage, stream=stream)
        if self.draining:
            execution.stop(Stop.DRAIN)
        task = self._spawn(self._carry(execution, stream), f"carry {run.id}")
        self._active[run.id] = Active(execution, stream, task)

    async def _dispatch(self) -> None:
        while not self.draining:
            claimed: list[Run] = []
            limit = min(self.free, CLAIM_BATCH)
            if limit > 0 and self._lease.trusted:
                self.reserved += limit
                try:
                    claimed = await in_database(claims.claim, self.worker_id, limit=limit)
                except Exception as error:
                    logger.warning("Runs could not be claimed, trying again: %s", error)
                finally:
                    self.reserved -= limit
                for run in claimed:
                    self.start(run)
            if len(claimed) < limit or limit <= 0:
                await self._wakeups.wait(WORK, settings.POLL * random.uniform(0.8, 1.2))

    # --- one run

    async def _carry(self, execution: Execution, stream: RunStream) -> None:
        """Execute a run and write down what became of it."""
        run = execution.run
        finished = False
        try:
            try:
                outcome = await execution.drive()
            except Exception as error:
                logger.exception("Run %s could not be executed.", run.id)
                shown, detail = describe(error)
                outcome = Outcome(Ending.ERROR, error=shown, detail=detail)
            finished, busy = await settle_outcome(execution, outcome, stream)
            if busy:
                self._wakeups.ring(WORK)
        except asyncio.CancelledError:
            logger.error(
                "Run %s: its status could not be written before the shutdown's end; recovery settles it.",
                run.id,
            )
            raise
        except Exception:
            logger.exception("Run %s: this process failed to look after it; recovery settles it.", run.id)
        finally:
            full = self.free <= 0
            self._hub.end(stream, finished=finished)
            if self._active.get(run.id) and self._active[run.id].execution is execution:
                del self._active[run.id]
            if full:
                self._wakeups.ring(WORK)

    # --- cancels, leases, sweeps

    def look(self) -> None:
        """Look at the rows of this worker's runs now: somebody asked for something."""
        self._look.set()

    async def _watch(self) -> None:
        """Follow what was written to the rows of this worker's runs: cancels, and takeovers."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), settings.POLL)
            self._look.clear()
            if not self._active:
                continue
            active = dict(self._active)
            try:
                rows = await in_database(claims.owned, self.worker_id)
            except Exception as error:
                logger.warning("Cancel requests could not be read, trying again: %s", error)
                continue
            for run_id, each in active.items():
                epoch, action = rows.get(run_id, (0, ""))
                if epoch != each.execution.run.epoch:
                    # Also seen when the run has just been settled; stopping an execution that ended does nothing.
                    each.execution.stop(Stop.LOST)
                elif action:
                    each.execution.run.cancel_action = action
                    each.execution.stop(Stop.CANCEL)

    async def _renew(self) -> None:
        try:
            alive = await self._lease.renew()
        except Exception:
            if not self._lease.trusted:
                self._lose()
            raise
        if not alive:
            self._lose()
            lost, self._lease = self._lease, Lease()
            await lost.abandon()
            await self._lease.begin(concurrency=settings.CONCURRENCY)

    def _lose(self) -> None:
        """Stop every run: others may believe this worker dead."""
        logger.error("This worker lost its lease; its %s runs are stopped here.", len(self._active))
        for each in list(self._active.values()):
            each.execution.stop(Stop.LOST)

    async def _sweep(self) -> None:
        report = await in_database(
            recovery.reconcile,
            sole=True,
            worker_id=self.worker_id,
            executing=set(self._active),
            budget=recovery.STARTUP_BUDGET,
        )
        if report.requeued:
            self._wakeups.ring(WORK)
        await housekeeping.remove_discarded(self._storage)

    @staticmethod
    async def _every(seconds: Callable[[], float], step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds())
            try:
                await step()
            except Exception as error:
                logger.warning("%s failed, trying again: %s", getattr(step, "__name__", step), error)

    # --- drain

    def stop_claiming(self) -> None:
        """Take no more runs; what runs goes on until the drain."""
        self.draining = True
        self._wakeups.ring(WORK)

    async def drain(self) -> None:
        """Stop what is executing at a safe point, write every status, give up the lease. Ends within DRAIN_SECONDS.

        Runs are asked to stop at their next step, then cancelled once, then abandoned; each one's status is decided by
        what really happened to it.
        """
        loop = asyncio.get_running_loop()
        began, budget = loop.time(), settings.DRAIN_SECONDS
        self.stop_claiming()
        for task in self._loops[1:]:
            task.cancel()
        if self._active:
            logger.info("Draining %s runs, for at most %g s.", len(self._active), budget)
            self._spawn(in_database(mark_draining, self.worker_id), "mark draining")
        for each in self._active.values():
            each.execution.request_drain()
        await self._ended(began + budget * ASK_SHARE)
        for each in list(self._active.values()):
            each.execution.stop(Stop.DRAIN)
        await self._ended(began + budget * CANCEL_SHARE)
        for each in list(self._active.values()):
            each.execution.abandon()
        await self._ended(began + budget * 0.95)
        for each in list(self._active.values()):
            each.task.cancel()
        await self._ended(began + budget)
        for task in self._loops:
            task.cancel()
        if self._loops:
            # A renewal in flight uses the connection that is about to be closed.
            await asyncio.wait(self._loops, timeout=0.5)
        try:
            async with asyncio.timeout_at(max(loop.time() + 0.5, began + budget)):
                await self._lease.end()
        except Exception as error:
            logger.warning("The lease could not be given up; it runs out by itself: %s", error)

    async def _ended(self, deadline: float) -> None:
        tasks = [each.task for each in self._active.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
