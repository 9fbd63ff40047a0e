"""One attempt of one run: from its claim to what became of it. Writing that down is `settlement.py`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Interrupt

from runs.code_changes import NodeGone
from runs.conf import settings
from runs.events import RunStream
from runs.execution.deadlines import Deadlines
from runs.execution.graph_stream import GraphStream
from runs.execution.invocation import has_begun
from runs.execution.loops import AttemptWriter
from runs.models import CancelAction, Run
from runs.outcomes import Ending, Outcome, Stop, describe
from runs.serialization import encode
from threads.checkpoints import CheckpointStorage, Fenced, StorageFailed, StorageUnavailable
from threads.checkpoints.storage import addressed
from threads.database import in_database
from threads.fields import Encoded
from threads.state import interrupt_json

logger = logging.getLogger(__name__)


class RunTimeout(Exception):
    """The run reached its wall-clock limit."""


class Execution:
    """Drives a graph for one attempt, and stops it once when asked to.

    Cancelling the graph's task twice would leave LangGraph's own writes behind (durability §2.7), so `stop()` cancels
    it once; a node that ignores that is abandoned after a grace time: sealed, fenced, its slot freed.
    """

    def __init__(self, run: Run, *, storage: CheckpointStorage, stream: RunStream) -> None:
        self.run = run
        self.stopped: Stop | None = None
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
        """Ask the graph to stop before its next step; a running node ends first."""
        self._control.request_drain("shutdown")

    def stop(self, reason: Stop) -> None:
        """Cancel the graph's task, once. A lost run stays lost whatever was asked before."""
        first = self.stopped is None
        if first or reason is Stop.LOST:
            self.stopped = reason
        if first and self._task is not None:
            self._task.cancel()
            asyncio.get_running_loop().call_later(settings.CANCEL_GRACE, self._abandoned.set)

    def abandon(self) -> None:
        """Wait no longer for a graph that ignores its cancellation."""
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
        """Execute the graph and return what became of it. Never raises for what a graph does."""
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
        """Whether the thread stays where the graph was stopped, for a person to see."""
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

    # --- what became of it

    async def _outcome(self) -> Outcome:
        assert self._task is not None
        error: BaseException | None = None
        finished = False
        if self._task.done():
            error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
            finished = error is None and self._graph.invoked
        outcome = self._ending(error, finished=finished)
        if outcome.ending in (Ending.DRAINED, Ending.LOST, Ending.ROLLED_BACK):
            # Whoever goes on asks again; a question is shown only when the thread has it.
            outcome.events = []
        else:
            outcome.events = [*self._graph.recorded.held, *outcome.events]
        outcome.input_tokens, outcome.output_tokens = self._graph.tokens
        values = self._graph.recorded.values
        if outcome.ending is Ending.SUCCESS and not self._graph.recorded.asked:
            outcome.values = Encoded(encode(values)) if values is not None else None
        elif outcome.ending not in (Ending.LOST, Ending.DRAINED, Ending.ROLLED_BACK):
            await self._read_state(outcome)
        if isinstance(error, NodeGone):
            # They can still be answered, once there is code that has the node.
            outcome.interrupts = {key: questions(asked) for key, asked in error.questions.items()}
        return outcome

    def _ending(self, error: BaseException | None, *, finished: bool) -> Outcome:
        """Decide by what really happened: a graph that finished meanwhile did finish."""
        if self.stopped is Stop.LOST or isinstance(error, Fenced):
            return Outcome(Ending.LOST)
        if finished:
            return Outcome(Ending.SUCCESS)
        if isinstance(error, GraphDrained):
            return self._drained()
        match self.stopped:
            case Stop.CANCEL:
                rollback = self.run.cancel_action == CancelAction.ROLLBACK
                return Outcome(Ending.ROLLED_BACK if rollback else Ending.INTERRUPTED)
            case Stop.DRAIN:
                return self._drained()
            case Stop.LEASE:
                # Nobody asked for its end: whoever claims it next goes on with it.
                return Outcome(Ending.DRAINED)
            case Stop.TIMEOUT:
                return self._failure(RunTimeout(self._limit), Ending.TIMEOUT)
            case Stop.STORAGE:
                error = self._write_error or StorageFailed()
        if isinstance(error, StorageUnavailable) and self.run.resumable:
            # What was saved is there when the storage is, and a process that had died would be followed by another one.
            return Outcome(Ending.DRAINED, charged=True)
        if self.stopped is Stop.STORAGE and error is not None:
            return self._failure(error)
        if error is None or isinstance(error, asyncio.CancelledError):
            error = RuntimeError("The graph cancelled itself.")
        logger.error("Run %s failed.", self.run.id, exc_info=error)
        return self._failure(error)

    @staticmethod
    def _drained() -> Outcome:
        return Outcome(Ending.INTERRUPTED if settings.ON_SHUTDOWN == "interrupt" else Ending.DRAINED)

    def _failure(self, error: BaseException, ending: Ending = Ending.ERROR) -> Outcome:
        shown, detail = describe(error)
        return Outcome(ending, error=shown, detail=detail, events=[("error", encode(shown))])

    async def roll_back(self, outcome: Outcome) -> None:
        """Remove the run's checkpoints, and read what the thread stands at then. Raises Fenced."""
        run = self.run
        places = addressed(run.kwargs.get("checkpoint"))
        await self._storage.remove_run(run.thread_id, run.id, epoch=run.epoch, writes=run.base, also=places)
        await self._read_state(outcome)

    async def _read_state(self, outcome: Outcome) -> None:
        """What the thread stands at.

        A run whose last write failed, or only seemed to, did succeed if its last checkpoint says so: if no task is left,
        for one whose result has landed without the checkpoint that follows from it is one of `tasks`, and not of `next`.
        """
        try:
            state = await self._graph.read_state()
        except Exception as error:
            unexpected = None if isinstance(error, StorageUnavailable) else error
            logger.warning(
                "Run %s: its thread's state could not be read: %s", self.run.id, error, exc_info=unexpected
            )
            outcome.interrupts = None
            ended = outcome.ending in (Ending.SUCCESS, Ending.INTERRUPTED)
            if isinstance(error, StorageUnavailable) and ended and self.run.resumable:
                # A question that nobody could see would be lost: whoever goes on asks it again.
                outcome.ending, outcome.charged, outcome.events = Ending.DRAINED, True, []
            return
        if state is None:
            return
        if self.stopped is Stop.STORAGE and not state.tasks and has_begun(state.metadata, str(self.run.id)):
            outcome.ending, outcome.error, outcome.detail, outcome.events = (
                Ending.SUCCESS,
                None,
                None,
                self._graph.recorded.held,
            )
        outcome.values = Encoded(encode(state.values))
        outcome.next = [task.name for task in state.tasks]
        outcome.interrupts = {task.id: questions(task.interrupts) for task in state.tasks if task.interrupts}


def questions(asked: Iterable[Interrupt]) -> list[dict[str, Any]]:
    """Questions as a thread keeps them, and clients read them."""
    return [interrupt_json(each) for each in asked]


def keep_base(run_id: UUID, epoch: int, snapshot: Any) -> None:
    """Keep what a run is about to overwrite, for a rollback."""
    Run.objects.filter(id=run_id, epoch=epoch, base__isnull=True).update(base=snapshot)
