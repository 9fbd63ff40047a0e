"""One attempt of one run, from its claim to its outcome. `settler.py` writes the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Interrupt

from runs.conf import settings
from runs.encoding import decode, encode
from runs.events.hub import RunStream
from runs.events.usage import ByModel, columns, count, logged
from runs.exceptions import RunLost
from runs.execution.deadlines import Deadlines
from runs.execution.ending import decide, failure
from runs.execution.graph_stream import GraphStream
from runs.execution.invocation import has_begun
from runs.execution.loops import AttemptWriter
from runs.execution.settler import ResultRefused, until_written
from runs.graphs.compatibility import NodeGone
from runs.lifecycle.outcomes import Ending, Outcome, Stop
from runs.models import Run
from threads.checkpoints import CheckpointStorage, Fenced, StorageUnavailable
from threads.checkpoints.storage import addressed
from threads.db.database import in_database
from threads.db.fields import Encoded
from threads.state.read import interrupt_json

logger = logging.getLogger(__name__)


class Execution:
    """Executes a graph for one attempt, and stops it at most once.

    A second cancellation of the graph's task would leave LangGraph's own writes behind (durability
    §2.7), so `stop()` cancels it once. A node that ignores the cancellation is abandoned after a
    grace time: its writers are sealed, and its slot is freed.
    """

    def __init__(self, run: Run, *, storage: CheckpointStorage, stream: RunStream) -> None:
        self.run = run
        self.stopped: Stop | None = None
        self._requeued = False
        self._stream = stream
        self._control = RunControl()
        self._abandoned = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._write_error: Exception | None = None
        self._limit = ""
        self._storage = storage
        self._writer = AttemptWriter(
            storage,
            thread_id=run.thread_id,
            epoch=run.epoch,
            run_id=run.id,
            on_failure=self._write_failed,
            largest=settings.STATE_LIMIT,
            on_base=None if run.base is not None else self._keep_base,
        )
        self._graph = GraphStream(run, writer=self._writer, stream=stream, control=self._control)

    # --- stopping

    def request_drain(self) -> None:
        """Ask the graph to stop before its next step; running nodes finish first."""
        self._control.request_drain("shutdown")

    def request_requeue(self) -> None:
        """Ask the graph to stop before its next step, so that the run goes back to `pending`."""
        self._requeued = True
        self._control.request_drain("requeue")

    def stop(self, reason: Stop) -> None:
        """Cancel the graph's task, once. `LOST` replaces an earlier reason."""
        first = self.stopped is None
        if first or reason is Stop.LOST:
            self.stopped = reason
        if first and self._task is not None:
            self._task.cancel()
            asyncio.get_running_loop().call_later(settings.CANCEL_GRACE, self._abandoned.set)

    def abandon(self) -> None:
        """Stop waiting for a graph that ignores its cancellation."""
        self._abandoned.set()

    def _timed_out(self, limit: str) -> None:
        self._limit = limit
        self.stop(Stop.TIMEOUT)

    def _write_failed(self, error: Exception) -> None:
        logger.warning("Run %s: %s", self.run.id, error)
        self._write_error = error
        self.stop(Stop.LOST if isinstance(error, Fenced) else Stop.STORAGE)

    # --- the attempt

    async def drive(self) -> Outcome:
        """Execute the graph and return the outcome. Never raises because of the graph."""
        self._stream.append("metadata", encode({"run_id": str(self.run.id), "attempt": self.run.attempt}))
        if self.run.cancel_action and self.stopped is None:
            self.stopped = Stop.CANCEL
        if self.stopped is not None:
            self._task = asyncio.create_task(self._graph.open())
        else:
            self._task = asyncio.create_task(self._graph.invoke(), name=f"run {self.run.id}")
        deadlines = Deadlines(self._timed_out, moved=lambda: self._graph.recorded.moved_at)
        abandoned = asyncio.create_task(self._abandoned.wait())
        try:
            await asyncio.wait([self._task, abandoned], return_when=asyncio.FIRST_COMPLETED)
        finally:
            abandoned.cancel()
            deadlines.cancel()
        if not self._task.done():
            logger.error("Run %s ignored its cancellation and was abandoned.", self.run.id)
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif self._writer.busy:
            await self._writer.quiesce()
        if self._stopped_short():
            await self._withdraw_interrupts()
        self._writer.seal()
        self._graph.seal()
        return await self._outcome()

    def _stopped_short(self) -> bool:
        """Whether the thread keeps the state in which the graph was stopped, and users see it."""
        assert self._task is not None
        if not self._task.done() or self.stopped in (Stop.LOST, Stop.DRAIN, Stop.LEASE, Stop.STORAGE):
            return False
        error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
        return error is not None and not isinstance(error, GraphDrained | Fenced)

    async def _withdraw_interrupts(self) -> None:
        try:
            await self._writer.withdraw_used_interrupts()
        except Exception as error:
            logger.warning(
                "Run %s: its thread may show interrupts that were answered: %s", self.run.id, error
            )

    async def _keep_base(self) -> None:
        snapshot = await self._writer.snapshot(self.run.kwargs.get("checkpoint"))
        await in_database(keep_base, self.run.id, self.run.epoch, snapshot)
        self.run.base = snapshot

    # --- the outcome

    async def _outcome(self) -> Outcome:
        assert self._task is not None
        error: BaseException | None = None
        finished = False
        if self._task.done():
            error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
            finished = error is None and self._graph.invoked
        outcome = decide(
            self.run, stopped=self.stopped, error=error, finished=finished, limit=self._limit,
            write_error=self._write_error, requeued=self._requeued,
        )  # fmt: skip
        recorded = self._graph.recorded
        match outcome.ending:
            case Ending.LOST:
                return outcome
            case Ending.ROLLED_BACK:
                outcome = await self._rolled_back(outcome)
            case Ending.DRAINED:
                # The next attempt asks again; an interrupt is shown only when the thread has it.
                pass
            case Ending.SUCCESS if not recorded.asked:
                values = Encoded(encode(recorded.values)) if recorded.values is not None else None
                outcome = replace(outcome, values=values, events=recorded.held)
            case _:
                outcome = replace(outcome, events=[*recorded.held, *outcome.events])
                outcome = await self._with_state(outcome)
        if isinstance(error, NodeGone):
            # The interrupts can still be answered once the deployed code has the node again.
            asked = {key: questions(each) for key, each in error.questions.items()}
            outcome = replace(outcome, interrupts=asked)
        if outcome.ending is Ending.DRAINED:
            # Nothing is written of it: the next attempt finds its tokens in the log.
            return outcome
        return replace(outcome, **columns(await self._used()))

    async def _used(self) -> ByModel:
        """The tokens of all attempts: what earlier ones have used is in the log alone."""
        used = self._graph.usage.by_model
        if self.run.attempt == 1:
            return used
        try:
            found = await in_database(logged, self.run.id, before=self.run.epoch)
        except Exception as error:
            # A run does not fail because its tokens cannot be counted.
            logger.warning("Run %s: the tokens of its earlier attempts are unknown: %s", self.run.id, error)
            return used
        for model, (received, sent) in used.items():
            count(found, model, received, sent)
        return found

    async def _rolled_back(self, outcome: Outcome) -> Outcome:
        """Remove the run's checkpoints, and read the thread's state after that."""
        run = self.run
        remove = partial(
            self._storage.remove_run, run.thread_id, run.id, epoch=run.epoch, writes=run.base,
            also=addressed(run.kwargs.get("checkpoint")),
        )  # fmt: skip
        try:
            await until_written(run, remove)
        except RunLost:
            return Outcome(Ending.LOST)
        except ResultRefused as error:
            logger.exception("Run %s could not be rolled back.", run.id)
            return replace(failure(error), interrupts=None)
        return await self._with_state(outcome)

    async def _with_state(self, outcome: Outcome) -> Outcome:
        """Add the thread's state to an outcome.

        A run whose last write failed, or only seemed to fail, did succeed if its last checkpoint
        has no tasks left. `tasks` decides and not `next`, because `next` lacks a task whose result
        landed without the following checkpoint.
        """
        try:
            state = await self._graph.read_state()
        except Exception as error:
            unexpected = None if isinstance(error, StorageUnavailable) else error
            logger.warning(
                "Run %s: its thread's state could not be read: %s", self.run.id, error, exc_info=unexpected
            )
            ended = outcome.ending in (Ending.SUCCESS, Ending.INTERRUPTED)
            if isinstance(error, StorageUnavailable) and ended and self.run.resumable:
                # An interrupt that is not shown would be lost, so the run is requeued and asks again.
                return Outcome(Ending.DRAINED, charged=True)
            return replace(outcome, interrupts=None)
        if state is None:
            # What a poisonous graph has left is unknown.
            return replace(outcome, interrupts=None) if self.run.poisonous else outcome
        if self.stopped is Stop.STORAGE and not state.tasks and has_begun(state.metadata, str(self.run.id)):
            outcome = Outcome(Ending.SUCCESS, events=self._graph.recorded.held)
        return replace(
            outcome,
            values=Encoded(encode(state.values)),
            next=[task.name for task in state.tasks],
            interrupts={task.id: questions(task.interrupts) for task in state.tasks if task.interrupts},
        )


def questions(asked: Iterable[Interrupt]) -> list[dict[str, Any]]:
    """Interrupts in the form that a thread stores and clients read. Their values may be any objects."""
    return [decode(encode(interrupt_json(each))) for each in asked]


def keep_base(run_id: UUID, epoch: int, snapshot: Any) -> None:
    """Store what a run is about to overwrite, for a rollback."""
    Run.objects.filter(id=run_id, epoch=epoch, base__isnull=True).update(base=snapshot)
