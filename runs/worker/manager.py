"""RunManager: this process's worker, which claims runs, executes them, and drains."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from typing import Self
from uuid import UUID

from runs.conf import settings
from runs.crons.scheduler import Scheduler
from runs.events.hub import EventHub, RunStream
from runs.execution import tracing
from runs.execution.attempt import Execution
from runs.execution.ending import failure
from runs.execution.log import notes
from runs.execution.settler import NOT_SETTLED, Settler
from runs.lifecycle import claims
from runs.lifecycle.outcomes import Ending, Outcome, Stop
from runs.models import Run
from runs.process.leases import Lease, mark_draining
from runs.process.options import WorkerOptions
from runs.process.wakeups import WORK, Wakeups, owner_of
from runs.webhooks.deliverer import Deliverer
from runs.webhooks.notices import note_start
from runs.worker.active import Active, ActiveRuns
from runs.worker.bulk import BulkActions
from runs.worker.cancel_watch import CancelWatch
from runs.worker.drain import drain_runs
from runs.worker.heartbeat import Heartbeat
from runs.worker.slots import Slot
from runs.worker.sweeps import Sweeps
from threads.checkpoints import CheckpointStorage
from threads.db.database import in_database
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

#: Runs claimed in one transaction at most.
CLAIM_BATCH = 20
#: How long a shutdown sends traces at most, in seconds, if its own time allows it.
FLUSH = 5.0


class RunManager:
    """Executes up to `CONCURRENCY` runs at once, from entering the context until the drain at its
    exit.
    """

    def __init__(
        self,
        *,
        storage: CheckpointStorage,
        hub: EventHub,
        wakeups: Wakeups,
        options: WorkerOptions | None = None,
    ) -> None:
        self.options = options or WorkerOptions()
        self.storage = storage
        self.wakeups = wakeups
        self.active: ActiveRuns = {}
        self.reserved = 0
        self.draining = False
        #: Set when `max_runs` runs have been executed, or when an operator's drain has ended.
        self.enough = asyncio.Event()
        self._hub = hub
        self._started = 0
        self._heartbeat = Heartbeat(
            self.options, self.active, on_new_lease=self._begin_again, on_drain=self._retire
        )
        self._cancel_watch = CancelWatch(self._heartbeat, self.active)
        self._sweeps = Sweeps(self._heartbeat, self.active, storage=storage, wakeups=wakeups)
        self._settler = Settler()
        self._loops: list[asyncio.Task[None]] = []
        self._marking: asyncio.Task[None] | None = None
        self._retiring: asyncio.Task[None] | None = None

    @property
    def lease(self) -> Lease:
        return self._heartbeat.lease

    @property
    def worker_id(self) -> UUID:
        return self.lease.worker_id

    @property
    def concurrency(self) -> int:
        return self.options.concurrency or settings.CONCURRENCY

    @property
    def drain_seconds(self) -> float:
        given = self.options.drain_seconds
        return settings.DRAIN_SECONDS if given is None else given

    async def __aenter__(self) -> Self:
        await self._heartbeat.begin()
        notes.install()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._retiring is not None:
            await asyncio.wait([self._retiring])
        else:
            await self.drain()

    def begin(self) -> None:
        """Start claiming. Called after the startup steps, which include recovery."""
        self._loops = [
            spawn(self._heartbeat.run(), "heartbeat"),
            spawn(self._cancel_watch.run(), "cancel watch"),
            spawn(self._sweeps.find_the_dead(), "probe"),
            spawn(self._sweeps.settle_orphans(), "sweep"),
            spawn(self._sweeps.refresh(), "refresh"),
            spawn(self._sweeps.retain(), "retention"),
            spawn(Scheduler(self.wakeups).run(), "crons"),
            spawn(Deliverer(self.wakeups).run(), "webhooks"),
            spawn(BulkActions(self.wakeups).run(), "bulk actions"),
            spawn(self._dispatch(), "dispatch"),
        ]

    def _begin_again(self) -> None:
        """Continue under a new identity: look for orphans of the old one, and claim runs for the
        free slots.
        """
        self._sweeps.now()
        self.wakeups.ring(WORK)

    # --- slots and starts

    @property
    def free(self) -> int:
        """How many more runs this worker may start now."""
        free = self.concurrency - len(self.active) - self.reserved
        if self.options.max_runs is not None:
            free = min(free, self.options.max_runs - self._started - self.reserved)
        return free

    def reserve(self) -> Slot | None:
        """Reserve a place for a run that is about to be admitted, if one is free.

        Returns None while limits for all processes are set, because only a claim can check them.
        """
        limited = settings.USER_CONCURRENCY or settings.TOTAL_CONCURRENCY
        if self.draining or limited or self.free <= 0 or not self.lease.trusted:
            return None
        self.reserved += 1
        return Slot(self, self.worker_id)

    def start(self, run: Run, *, asked_here: bool = False) -> None:
        """Execute a claimed run.

        Args:
            asked_here: Whether the client that created it is connected to this process.
        """
        self._started += 1
        stream = self._hub.open(
            run.id, thread_id=run.thread_id, epoch=run.epoch, first=run.attempt == 1, urgent=not asked_here
        )
        execution = Execution(run, storage=self.storage, stream=stream)
        if self.draining:
            execution.stop(Stop.DRAIN)
        elif run.worker_id != self.worker_id or not self.lease.trusted:
            # The lease under which the run was claimed has ended meanwhile.
            execution.stop(Stop.LEASE)
        task = spawn(self._carry(execution, stream), f"carry {run.id}")
        self.active[run.id] = Active(execution, stream, task)

    async def _dispatch(self) -> None:
        with self.wakeups.bell(WORK) as bell:
            while not self.draining:
                bell.clear()
                limit = min(self.free, CLAIM_BATCH)
                if limit <= 0 or not self.lease.trusted or await self._claim(limit) < limit:
                    await bell.wait(settings.POLL * random.uniform(0.8, 1.2))

    async def _claim(self, limit: int) -> int:
        """Claim and start up to `limit` runs; return how many."""
        self.reserved += limit
        claimed: list[Run] = []
        try:
            claimed = await in_database(claims.claim, self.worker_id, limit=limit, queues=self.options.queues)
        except Exception as error:
            logger.warning("Runs could not be claimed, trying again: %s", error)
        finally:
            self.reserved -= limit
        for run in claimed:
            try:
                self.start(run)
            except Exception:
                # One run must not stop the claiming of others. Recovery finds this one.
                logger.exception("Run %s could not be started; recovery settles it.", run.id)
        return len(claimed)

    # --- one run

    async def _carry(self, execution: Execution, stream: RunStream) -> None:
        """Execute a run and write its outcome."""
        run = execution.run
        settled = NOT_SETTLED
        try:
            await note_start(run)
            with self.wakeups.calling(owner_of(run.id), self._cancel_watch.look):
                outcome = await self._drive(execution)
            settled = await self._settler.settle(run, outcome, stream)
            if settled.waiting or outcome.ending is Ending.DRAINED:
                self.wakeups.tell(WORK)
            if outcome.ending is Ending.ROLLED_BACK:
                await self._settler.clear(run)
        except asyncio.CancelledError:
            logger.error(
                "Run %s: its status could not be written before the shutdown's end; recovery settles it.",
                run.id,
            )
            raise
        except Exception:
            logger.exception(
                "Run %s: this process failed to execute and settle it; recovery settles it.", run.id
            )
        finally:
            full = self.free <= 0
            self._hub.end(stream, finished=settled.final)
            if self.active.get(run.id) and self.active[run.id].execution is execution:
                del self.active[run.id]
            if full:
                self.wakeups.ring(WORK)
            if (
                not self.active
                and self.options.max_runs is not None
                and self._started >= self.options.max_runs
            ):
                self.enough.set()

    async def _drive(self, execution: Execution) -> Outcome:
        try:
            return await execution.drive()
        except Exception as error:
            logger.exception("Run %s could not be executed.", execution.run.id)
            return replace(failure(error), interrupts=None)

    # --- drain

    def stop_claiming(self) -> None:
        """Take no more runs; those in progress continue until the drain."""
        self.draining = True
        self.wakeups.ring(WORK)

    def _retire(self) -> None:
        """Drain because an operator asked for it. A process that also serves goes on serving."""
        if self._retiring is None and not self.draining:
            logger.info("An operator has asked this worker to drain.")
            self._retiring = spawn(self._retired(), "retire")

    async def _retired(self) -> None:
        await self.drain()
        self.enough.set()

    async def drain(self) -> None:
        """Stop the runs (`drain_runs`), end the lease, and send traces. Ends within DRAIN_SECONDS."""
        loop = asyncio.get_running_loop()
        began, budget = loop.time(), self.drain_seconds
        self.stop_claiming()
        for task in self._loops[1:]:
            task.cancel()
        if self.active:
            self._marking = spawn(self._mark_draining(), "mark draining")
        await drain_runs(self.active, seconds=budget)
        for task in self._loops:
            task.cancel()
        if self._loops:
            # A renewal in flight uses the connection that is about to be closed.
            await asyncio.wait(self._loops, timeout=0.5)
        try:
            async with asyncio.timeout_at(max(loop.time() + 0.5, began + budget)):
                await self.lease.end()
        except Exception as error:
            logger.warning("The lease could not be ended; it expires by itself: %s", error)
        await tracing.flush(min(FLUSH, max(0.0, began + budget - loop.time())))

    async def _mark_draining(self) -> None:
        """Record the drain in the worker's row. This is only informative, because the lease ends
        soon.
        """
        try:
            await in_database(mark_draining, self.worker_id)
        except Exception as error:
            logger.warning("The drain could not be noted in the worker's row: %s", error)
