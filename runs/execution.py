"""One attempt of one run: from its claim to what became of it. Writing that down is `settlement.py`."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from langchain_core.callbacks.usage import UsageMetadataCallbackHandler
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from runs import graphs
from runs.conf import settings
from runs.events import RunStream
from runs.graphs.runtimes import execution_runtime
from runs.invocation import (
    discloses_question,
    graph_config,
    graph_input,
    has_begun,
    langgraph_modes,
    without_internals,
)
from runs.models import CancelAction, Durability, Run
from runs.outcomes import Ending, Outcome, Stop, describe
from runs.serialization import encode
from threads.checkpoints import CheckpointStorage, Fenced, StorageFailed, ThreadWriter
from threads.database import in_database
from threads.fields import Encoded

logger = logging.getLogger(__name__)


class RunTimeout(Exception):
    """The run reached its wall-clock limit."""


class Usage(UsageMetadataCallbackHandler):
    """Counts a run's tokens. Called in the loop: LangChain would use a thread for each token otherwise."""

    run_inline = True
    ignore_chain = ignore_retriever = ignore_agent = ignore_retry = ignore_custom_event = True


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
        self._graph: Any = None
        self._config: Any = {}
        self._values: Any = None
        self._invoked = False
        self._asked = False
        self._held: list[tuple[str, str]] = []
        self._usage = Usage()
        self._storage = storage
        self._writer = ThreadWriter(
            storage,
            thread_id=run.thread_id,
            epoch=run.epoch,
            run_id=run.id,
            on_failure=self._write_failed,
            on_base=None if run.base is not None else self._keep_base,
        )

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

    def _write_failed(self, error: Exception) -> None:
        logger.warning("Run %s: %s", self.run.id, error)
        self.stop(Stop.LOST if isinstance(error, Fenced) else Stop.STORAGE)

    # --- the attempt

    async def drive(self) -> Outcome:
        """Execute the graph and return what became of it. Never raises for what a graph does."""
        self._stream.append("metadata", encode({"run_id": str(self.run.id), "attempt": self.run.attempt}))
        if self.run.cancel_action and self.stopped is None:
            self.stopped = Stop.CANCEL
        if self.stopped is not None:
            self._task = asyncio.create_task(self._open())
        else:
            self._task = asyncio.create_task(self._invoke(), name=f"run {self.run.id}")
        limit = settings.RUN_TIMEOUT
        timer = asyncio.get_running_loop().call_later(limit, self.stop, Stop.TIMEOUT) if limit else None
        abandoned = asyncio.create_task(self._abandoned.wait())
        try:
            await asyncio.wait([self._task, abandoned], return_when=asyncio.FIRST_COMPLETED)
        finally:
            abandoned.cancel()
            if timer is not None:
                timer.cancel()
        if not self._task.done():
            logger.error("Run %s ignored its cancellation and was abandoned.", self.run.id)
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif self._writer.busy:
            await self._writer.quiesce()
        self._writer.seal()
        return await self._outcome()

    async def _invoke(self) -> None:
        self._invoked = True
        run = self.run
        kwargs = run.kwargs
        begun = await self._begun()
        self._config = self._make_config(begun=begun)
        async with self._opened():
            graph = self._graph
            waiting: list[str] = []
            if not begun and (kwargs.get("command") or {}).get("resume") is not None:
                state = await graph.aget_state(self._config)
                waiting = [interrupt.id for interrupt in state.interrupts]
            self._asked = bool(graph.interrupt_before_nodes or graph.interrupt_after_nodes)
            config = {**self._config, "callbacks": [self._usage]}
            source = graph_input(kwargs, begun=begun, waiting=waiting)
            async for namespace, mode, data in self._chunks(source, config):
                self._publish(namespace, mode, data)
                if mode == "updates" and not namespace:
                    # A step has ended. LangGraph's `async` durability would run ahead of slow storage by any number
                    # of steps; a death may repeat one. The graph goes on only when it is asked for the next chunk.
                    await self._writer.caught_up()
                if self._stream.full:
                    await self._stream.room()

    async def _begun(self) -> bool:
        """Whether an earlier attempt left a checkpoint. A first attempt has none: run ids are used once."""
        if self.run.attempt == 1:
            return False
        latest = await self._writer.aget_tuple({"configurable": {"thread_id": str(self.run.thread_id)}})
        return has_begun(latest.metadata if latest else None, str(self.run.id))

    def _make_config(self, *, begun: bool) -> Any:
        run = self.run
        return graph_config(
            run.kwargs,
            run_id=str(run.id),
            thread_id=str(run.thread_id),
            assistant_id=str(run.assistant_id),
            graph_id=run.assistant.graph_id,
            user_id=str(run.user_id),
            attempt=run.attempt,
            metadata=run.metadata,
            begun=begun,
        )

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open the graph with this run's writer as its saver; a shallow copy, for all runs share the graph."""
        runtime = execution_runtime(self.run.kwargs.get("context"))
        async with graphs.open_graph(self.run.assistant.graph_id, self._config, runtime=runtime) as graph:
            self._graph = copy.copy(graph)
            self._graph.checkpointer = self._writer.with_allowlist(graphs.checkpoint_types(graph))
            yield

    async def _chunks(
        self, source: Any, config: dict[str, Any]
    ) -> AsyncIterator[tuple[tuple[str, ...], str, Any]]:
        """The graph's stream as (namespace, mode, data)."""
        kwargs = self.run.kwargs
        subgraphs = bool(kwargs.get("subgraphs"))
        modes = langgraph_modes(kwargs["stream_mode"])
        options: dict[str, Any] = {
            "stream_mode": modes,
            "subgraphs": subgraphs,
            "context": kwargs.get("context") or None,
            "interrupt_before": kwargs.get("interrupt_before"),
            "interrupt_after": kwargs.get("interrupt_after"),
            "durability": kwargs.get("durability") or Durability.ASYNC,
            "control": self._control,
        }
        if "events" not in kwargs["stream_mode"]:
            async for chunk in self._graph.astream(source, config, **options):
                yield chunk if subgraphs else ((), *chunk)
            return
        root: str | None = None
        async for event in self._graph.astream_events(source, config, version="v2", **options):
            root = root or event["run_id"]
            if "langsmith:hidden" not in (event.get("tags") or ()):
                yield (), "events", event
            if event["event"] == "on_chain_stream" and event["run_id"] == root:
                chunk = event["data"]["chunk"]
                yield chunk if subgraphs else ((), *chunk)

    def _publish(self, namespace: tuple[str, ...], mode: str, data: Any) -> None:
        if not namespace:
            if mode == "values":
                self._values = data
            self._asked = self._asked or (mode == "updates" and "__interrupt__" in data)
        if not self._wanted(mode):
            return
        name = "|".join((mode, *namespace))
        event = (name, encode(without_internals(mode, data)))
        if discloses_question(mode, data):
            self._held.append(event)
        else:
            self._stream.append(*event)

    def _wanted(self, mode: str) -> bool:
        requested = self.run.kwargs["stream_mode"]
        return mode in requested or (mode == "messages" and "messages-tuple" in requested)

    async def _open(self) -> None:
        """Open the graph without executing it, to read the state of a run that was cancelled while it waited."""
        self._config = self._make_config(begun=True)
        async with self._opened():
            pass

    async def _keep_base(self) -> None:
        snapshot = await self._storage.snapshot_writes(self.run.thread_id)
        await in_database(keep_base, self.run.id, self.run.epoch, snapshot)
        self.run.base = snapshot

    # --- what became of it

    async def _outcome(self) -> Outcome:
        assert self._task is not None
        error: BaseException | None = None
        finished = False
        if self._task.done():
            error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
            finished = error is None and self._invoked
        outcome = self._ending(error, finished=finished)
        if outcome.ending in (Ending.DRAINED, Ending.LOST, Ending.ROLLED_BACK):
            # Whoever goes on asks again; a question is shown only when the thread has it.
            outcome.events = []
        else:
            outcome.events = [*self._held, *outcome.events]
        for usage in self._usage.usage_metadata.values():
            outcome.input_tokens += usage["input_tokens"]
            outcome.output_tokens += usage["output_tokens"]
        if outcome.ending is Ending.SUCCESS and not self._asked:
            outcome.values = Encoded(encode(self._values)) if self._values is not None else None
        elif outcome.ending not in (Ending.LOST, Ending.DRAINED, Ending.ROLLED_BACK):
            await self._read_state(outcome)
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
            case Stop.TIMEOUT:
                return self._failure(
                    RunTimeout(f"The run reached its limit of {settings.RUN_TIMEOUT:g} s."), Ending.TIMEOUT
                )
            case Stop.STORAGE:
                return self._failure(error if isinstance(error, StorageFailed) else StorageFailed())
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
        await self._storage.remove_run(run.thread_id, run.id, epoch=run.epoch, writes=run.base)
        await self._read_state(outcome)

    async def _read_state(self, outcome: Outcome) -> None:
        """What the thread stands at; a failure to read it does not change how the run ended.

        A run whose last write failed, or only seemed to, did succeed if its last checkpoint says so (durability §2.8).
        """
        if self._graph is None:
            return
        try:
            config = {"configurable": {"thread_id": str(self.run.thread_id)}}
            async with asyncio.timeout(settings.CANCEL_GRACE):
                state = await self._graph.aget_state(config)
        except Exception:
            logger.warning("Run %s: its thread's state could not be read.", self.run.id, exc_info=True)
            return
        if self.stopped is Stop.STORAGE and not state.next and has_begun(state.metadata, str(self.run.id)):
            outcome.ending, outcome.error, outcome.detail, outcome.events = (
                Ending.SUCCESS,
                None,
                None,
                self._held,
            )
        outcome.values = Encoded(encode(state.values))
        outcome.next = state.next
        outcome.interrupts = {
            task.id: [{"id": each.id, "value": each.value} for each in task.interrupts]
            for task in state.tasks
            if task.interrupts
        }


def keep_base(run_id: UUID, epoch: int, snapshot: Any) -> None:
    """Keep what a run is about to overwrite, for a rollback."""
    Run.objects.filter(id=run_id, epoch=epoch, base__isnull=True).update(base=snapshot)
