"""The graph of one attempt: opened with the run's writer as its saver, and invoked once. Its stream
is published.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from langgraph.runtime import RunControl
from langgraph.types import StateSnapshot

from runs import graphs
from runs.events import table
from runs.events.hub import RunStream
from runs.execution import tracing
from runs.execution.invocation import (
    goes_on,
    graph_config,
    has_begun,
    langgraph_modes,
    towards,
)
from runs.execution.log.model_events import MessagesHandler  # noqa: F401 (which installs itself)
from runs.execution.log.notes import Notes, lines_in, noting
from runs.execution.log.recording import Chunk, Recording
from runs.execution.log.told import Told
from runs.execution.log.usage import Usage
from runs.execution.loops import AttemptWriter
from runs.execution.resume import Landed, Resumption, landed, source
from runs.graphs.compatibility import ensure_goes_on, root_of
from runs.graphs.contexts import fitting
from runs.graphs.runtimes import execution_runtime
from runs.graphs.stores import store_of_run
from runs.identity.principals import auth_user
from runs.models import Durability, Run
from runs.protocols.agent.items import LOG, MODES
from runs.requests.answers import is_answer_map, is_plain_answer
from threads.db.database import in_database


def _earlier(run: Run) -> tuple[Told, tuple[int, int]]:
    """What earlier attempts have streamed since their last whole state; and how many log lines they
    have, with how many characters.
    """
    told = Told((event.name, event.data) for event in table.before(run.id, run.epoch))
    return told, lines_in(table.packs(run.id, containing=LOG))


class GraphStream:
    """Invokes a run's graph by the resume rules, and logs its stream."""

    def __init__(self, run: Run, *, writer: AttemptWriter, stream: RunStream, control: RunControl) -> None:
        self._run = run
        self._writer = writer
        self._stream = stream
        self._control = control
        self._store = store_of_run(run)
        self._graph: Any = None
        self._config: Any = {}
        self._usage = Usage()
        #: Whether the graph was asked to execute.
        self.invoked = False
        #: What it has streamed so far.
        self.recorded = Recording(run.kwargs, stream)
        self._requested = frozenset(run.kwargs["stream_mode"])

    @property
    def usage(self) -> Usage:
        """The tokens of the run's models so far."""
        return self._usage

    @property
    def _durability(self) -> str:
        return str(self._run.kwargs.get("durability") or Durability.ASYNC)

    async def invoke(self) -> None:
        """Execute the graph to its end, and publish its stream.

        Raises NodeGone, and whatever the graph raises.
        """
        self.invoked = True
        # The task's own context, which what the graph starts inherits.
        noting.set(notes := Notes(self._stream))
        if self._run.attempt > 1:
            earlier = partial(in_database, _earlier, self._run)
            self.recorded.told, lines = await self._writer.patiently(earlier)
            notes.count(*lines)
        begun = await self._begun()
        if not begun and self._run.attempt > 1 and self._durability == Durability.EXIT:
            await self._writer.remove_leftovers(self._run)
        self._config = self._make_config(begun=begun)
        if self._run.attempt > 1:
            await self._address_subgraphs(begun=begun)
        async with self._opened():
            graph = self._graph
            kwargs = towards(graph.nodes, self._run.kwargs)
            if begun or goes_on(kwargs):
                await ensure_goes_on(graph, self._writer, self._config, name=self._run.graph_id)
            waiting: list[str] = []
            if not begun and is_answer_map((kwargs.get("command") or {}).get("resume")):
                state = await graph.aget_state(root_of(self._config))
                waiting = [interrupt.id for interrupt in state.interrupts]
            self.recorded.asked = bool(graph.interrupt_before_nodes or graph.interrupt_after_nodes)
            resumption = await self._resumption()
            self._writer.resumption = resumption
            config = {**self._config, "callbacks": [self._usage, *await tracing.handlers(self._run)]}
            await self._stream_all(
                source(kwargs, begun=begun, waiting=waiting, found=resumption.found), config
            )

    async def _resumption(self) -> Resumption:
        """What earlier attempts have left. For a first attempt nothing is read."""
        run = self._run
        if run.attempt == 1:
            return Resumption(later=False)
        found = Landed()
        if run.base is not None:
            now = await self._writer.snapshot(
                run.kwargs.get("checkpoint"), whole=is_plain_answer(run.kwargs["command"])
            )
            found = landed(now, run.base, asked=self._writer.asked_in)
        # LangGraph looks for earlier subgraph memories in a replay, but not when interrupts are answered.
        answers = (run.kwargs.get("command") or {}).get("resume") is not None
        origin = None if answers else await self._writer.origin(run.kwargs.get("checkpoint"))
        return Resumption(later=True, found=found, before=origin)

    async def _stream_all(self, given: Any, config: dict[str, Any]) -> None:
        try:
            async for namespace, mode, data in self._chunks(given, config):
                self.recorded.take(namespace, mode, data)
                if self._stream.full:
                    await self._stream.room()
        finally:
            self.recorded.release()

    async def open(self) -> None:
        """Open the graph without executing it, to read the state of a run that was cancelled while
        it was pending. A poisonous one stays closed, and `read_state` returns None.
        """
        if self._run.poisonous:
            return
        self._config = self._make_config(begun=True)
        async with self._opened():
            pass

    async def read_state(self) -> StateSnapshot | None:
        """The thread's present state; None if the graph was never opened."""
        if self._graph is None:
            return None
        state: StateSnapshot = await self._graph.aget_state(
            {"configurable": {"thread_id": str(self._run.thread_id)}}
        )
        return state

    def seal(self) -> None:
        """Refuse every later write to the store, as the writer refuses later checkpoints."""
        self._store.seal()

    async def _begun(self) -> bool:
        """Whether an earlier attempt left a checkpoint. A first attempt has none: run ids are used once."""
        if self._run.attempt == 1:
            return False
        latest = await self._writer.aget_tuple({"configurable": {"thread_id": str(self._run.thread_id)}})
        return has_begun(latest.metadata if latest else None, str(self._run.id))

    async def _address_subgraphs(self, *, begun: bool) -> None:
        """Let subgraphs continue from the checkpoint that the request names until this run has made
        one in them; also when the root graph has made its own, which is then its newest.
        """
        configurable = self._config["configurable"]
        named = (self._run.kwargs.get("checkpoint") or {}).get("checkpoint_map") or {}
        places = {namespace: each for namespace, each in named.items() if namespace or not begun}
        for namespace in [each for each in places if each]:
            head = await self._writer.aget_tuple(
                {"configurable": {"thread_id": configurable["thread_id"], "checkpoint_ns": namespace}}
            )
            if head is not None and self._writer.is_ours(head):
                del places[namespace]
        if places:
            configurable["checkpoint_map"] = places
        else:
            configurable.pop("checkpoint_map", None)

    def _make_config(self, *, begun: bool) -> Any:
        run = self._run
        return graph_config(
            run.kwargs,
            run_id=str(run.id),
            thread_id=str(run.thread_id),
            assistant_id=str(run.assistant_id),
            graph_id=run.graph_id,
            user_id=str(run.user_id),
            auth_user=auth_user(run.user_id, run.auth_details),
            attempt=run.attempt,
            metadata={**run.metadata, **tracing.metadata(run)},
            begun=begun,
        )

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open the graph with this run's writer as its saver; a shallow copy, because all runs
        share the graph.
        """
        details = self._run.auth_details
        user = auth_user(self._run.user_id, details) if details is not None else None
        runtime = execution_runtime(self._run.kwargs.get("context"), self._store, user)
        async with graphs.open_graph(self._run.graph_id, self._config, runtime=runtime) as graph:
            self._graph = copy.copy(graph)
            self._graph.checkpointer = self._writer.with_allowlist(graphs.checkpoint_types(graph))
            self._graph.store = self._store
            yield

    def _chunks(self, given: Any, config: dict[str, Any]) -> AsyncIterator[Chunk]:
        """The graph's stream."""
        kwargs = self._run.kwargs
        durability = self._durability
        modes = langgraph_modes(self._requested) | MODES
        if durability == Durability.EXIT and "checkpoints" not in self._requested:
            # The stream would contain checkpoints that are never saved.
            modes -= {"checkpoints"}
        options: dict[str, Any] = {
            "stream_mode": sorted(modes),
            "subgraphs": True,
            "context": fitting(kwargs.get("context"), self._graph.context_schema),
            "interrupt_before": kwargs.get("interrupt_before"),
            "interrupt_after": kwargs.get("interrupt_after"),
            "durability": durability,
            "control": self._control,
        }
        if "events" in self._requested:
            return self._with_events(given, config, options)
        chunks: AsyncIterator[Chunk] = self._graph.astream(given, config, **options)
        return chunks

    async def _with_events(
        self, given: Any, config: dict[str, Any], options: dict[str, Any]
    ) -> AsyncIterator[Chunk]:
        """The stream, interleaved with the events of the graph's runnables in the mode `events`."""
        root: str | None = None
        async for event in self._graph.astream_events(given, config, version="v2", **options):
            root = root or event["run_id"]
            if "langsmith:hidden" not in (event.get("tags") or ()):
                yield (), "events", event
            if event["event"] == "on_chain_stream" and event["run_id"] == root:
                yield event["data"]["chunk"]
