"""The graph of one attempt: opened with the run's writer as its saver, invoked once, its stream published."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.callbacks.usage import UsageMetadataCallbackHandler
from langgraph.runtime import RunControl
from langgraph.types import StateSnapshot

from runs import graphs
from runs.code_changes import ensure_goes_on
from runs.conf import settings
from runs.events import RunStream
from runs.exceptions import RunTooLarge
from runs.graphs.runtimes import execution_runtime
from runs.identity.principals import auth_user
from runs.invocation import (
    discloses_question,
    goes_on,
    graph_config,
    graph_input,
    has_begun,
    langgraph_modes,
    towards,
    without_internals,
)
from runs.models import Durability, Run
from runs.outcomes import describe
from runs.protocols.agent.items import MODES, PACK, Compactor, pack
from runs.serialization import encode
from runs.stores import store_of_run
from threads.checkpoints import ThreadWriter

#: What a graph streams: namespace, mode, data.
Chunk = tuple[tuple[str, ...], str, Any]


class Usage(UsageMetadataCallbackHandler):
    """Counts a run's tokens. Called in the loop: LangChain would use a thread for each token otherwise."""

    run_inline = True
    ignore_chain = ignore_retriever = ignore_agent = ignore_retry = ignore_custom_event = True


class GraphStream:
    """Invokes a run's graph by the resume rule, and keeps what its outcome is made of."""

    def __init__(self, run: Run, *, writer: ThreadWriter, stream: RunStream, control: RunControl) -> None:
        self._run = run
        self._writer = writer
        self._stream = stream
        self._control = control
        self._store = store_of_run(run)
        self._graph: Any = None
        self._config: Any = {}
        self._usage = Usage()
        #: Events so far, however many rows of the log they share: that depends on who reads meanwhile.
        self._streamed = 0
        self._event_limit, self._count_limit = settings.EVENT_LIMIT, settings.EVENTS_PER_RUN
        #: When it last streamed something, or was made, in the loop's time.
        self.moved_at = asyncio.get_running_loop().time()
        #: Whether the graph was asked to execute.
        self.invoked = False
        #: The last values it streamed.
        self.values: Any = None
        #: Whether it stopped, or may have stopped, for a person.
        self.asked = False
        #: Rows and items (name, JSON) that show a question; they are published with the end of the run.
        self._held: list[tuple[str, str]] = []
        self._compactor = Compactor()
        #: Values that wait for their checkpoint's item, with the namespace; protocol clients pair the two in this order.
        self._waiting: tuple[tuple[str, ...], tuple[str, str]] | None = None
        self._requested = frozenset(run.kwargs["stream_mode"])
        #: Modes that are logged as rows of their own.
        self._shown = langgraph_modes(self._requested) | (self._requested & {"events"})
        self._subgraphs = bool(run.kwargs.get("subgraphs"))

    @property
    def held(self) -> list[tuple[str, str]]:
        """Events (name, JSON) that show a question; they are published with the end of the run."""
        rows: list[tuple[str, str]] = []
        items: list[str] = []
        for name, data in [*self._held, ("", "")]:
            if name == PACK:
                items.append(data)
                continue
            if items:
                rows.append((PACK, pack(items)))
                items = []
            if name:
                rows.append((name, data))
        return rows

    @property
    def tokens(self) -> tuple[int, int]:
        """How many tokens went into models, and came out of them."""
        used = self._usage.usage_metadata.values()
        return sum(each["input_tokens"] for each in used), sum(each["output_tokens"] for each in used)

    async def invoke(self) -> None:
        """Execute the graph to its end, and publish what it streams.

        Raises NodeGone, beside all that a graph may raise.
        """
        self.invoked = True
        begun = await self._begun()
        self._config = self._make_config(begun=begun)
        async with self._opened():
            graph = self._graph
            kwargs = towards(graph.nodes, self._run.kwargs)
            if begun or goes_on(kwargs):
                await ensure_goes_on(graph, self._writer, self._config, name=self._run.graph_id)
            waiting: list[str] = []
            if not begun and (kwargs.get("command") or {}).get("resume") is not None:
                state = await graph.aget_state(self._config)
                waiting = [interrupt.id for interrupt in state.interrupts]
            self.asked = bool(graph.interrupt_before_nodes or graph.interrupt_after_nodes)
            config = {**self._config, "callbacks": [self._usage]}
            source = graph_input(kwargs, begun=begun, waiting=waiting)
            await self._stream_all(source, config)

    async def _stream_all(self, source: Any, config: dict[str, Any]) -> None:
        try:
            async for namespace, mode, data in self._chunks(source, config):
                self._take(namespace, mode, data)
                if mode == "updates" and not namespace:
                    # A step has ended. LangGraph's `async` durability would run ahead of slow storage by any number
                    # of steps; a death may repeat one. The graph goes on only when it is asked for the next chunk.
                    await self._writer.caught_up()
                if self._stream.full:
                    await self._stream.room()
        finally:
            self._release()

    async def open(self) -> None:
        """Open the graph without executing it, to read the state of a run that was cancelled while it waited."""
        self._config = self._make_config(begun=True)
        async with self._opened():
            pass

    async def read_state(self) -> StateSnapshot | None:
        """What the thread stands at now; None if the graph was never opened."""
        if self._graph is None:
            return None
        state: StateSnapshot = await self._graph.aget_state(
            {"configurable": {"thread_id": str(self._run.thread_id)}}
        )
        return state

    def seal(self) -> None:
        """Refuse every later write to the store, as the writer does every later checkpoint."""
        self._store.seal()

    async def _begun(self) -> bool:
        """Whether an earlier attempt left a checkpoint. A first attempt has none: run ids are used once."""
        if self._run.attempt == 1:
            return False
        latest = await self._writer.aget_tuple({"configurable": {"thread_id": str(self._run.thread_id)}})
        return has_begun(latest.metadata if latest else None, str(self._run.id))

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
            metadata=run.metadata,
            begun=begun,
        )

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open the graph with this run's writer as its saver; a shallow copy, for all runs share the graph."""
        runtime = execution_runtime(self._run.kwargs.get("context"), self._store)
        async with graphs.open_graph(self._run.graph_id, self._config, runtime=runtime) as graph:
            self._graph = copy.copy(graph)
            self._graph.checkpointer = self._writer.with_allowlist(graphs.checkpoint_types(graph))
            self._graph.store = self._store
            yield

    def _chunks(self, source: Any, config: dict[str, Any]) -> AsyncIterator[Chunk]:
        """The graph's stream."""
        kwargs = self._run.kwargs
        durability = kwargs.get("durability") or Durability.ASYNC
        modes = langgraph_modes(self._requested) | MODES
        if durability == Durability.EXIT and "checkpoints" not in self._requested:
            # It streams checkpoints that are never saved.
            modes -= {"checkpoints"}
        options: dict[str, Any] = {
            "stream_mode": sorted(modes),
            "subgraphs": True,
            "context": kwargs.get("context") or None,
            "interrupt_before": kwargs.get("interrupt_before"),
            "interrupt_after": kwargs.get("interrupt_after"),
            "durability": durability,
            "control": self._control,
        }
        if "events" in self._requested:
            return self._with_events(source, config, options)
        chunks: AsyncIterator[Chunk] = self._graph.astream(source, config, **options)
        return chunks

    async def _with_events(
        self, source: Any, config: dict[str, Any], options: dict[str, Any]
    ) -> AsyncIterator[Chunk]:
        """The same, and between it all that happens in the graph's runnables, in the mode `events`."""
        root: str | None = None
        async for event in self._graph.astream_events(source, config, version="v2", **options):
            root = root or event["run_id"]
            if "langsmith:hidden" not in (event.get("tags") or ()):
                yield (), "events", event
            if event["event"] == "on_chain_stream" and event["run_id"] == root:
                yield event["data"]["chunk"]

    def _take(self, namespace: tuple[str, ...], mode: str, data: Any) -> None:
        """Log one event of the graph: as a row of its own if the run's creator asked for it, else as an item."""
        self.moved_at = asyncio.get_running_loop().time()
        if not namespace:
            if mode == "values":
                self.values = data
            self.asked = self.asked or (mode == "updates" and "__interrupt__" in data)
        if self._waiting is not None and (mode != "checkpoints" or self._waiting[0] != namespace):
            self._release()
        rows = self._rows(namespace, mode, data)
        for event in rows:
            self._check(event)
        question = discloses_question(mode, data)
        if mode == "values" and rows and not question:
            # Its checkpoint follows without a pause, or not at all.
            self._waiting = (namespace, rows[0])
            asyncio.get_running_loop().call_soon(self._release)
            return
        for name, row in rows:
            if name != PACK:
                self._release()
            # Of a checkpoint an item says only where it stands.
            if question and (name != PACK or mode != "checkpoints"):
                self._held.append((name, row))
            else:
                self._log(name, row)
        self._release()

    def _rows(self, namespace: tuple[str, ...], mode: str, data: Any) -> list[tuple[str, str]]:
        """What is logged of an event, as (name, JSON)."""
        rows: list[tuple[str, str]] = []
        wanted = mode in self._shown and (self._subgraphs or not namespace)
        if mode in MODES and (not wanted or mode == "checkpoints"):
            if mode == "tasks" and isinstance(error := data.get("error"), BaseException):
                data = {**data, "error": describe(error)[0]}
            item = self._compactor.item(mode, namespace, data, now=time.time())
            if item is not None:
                rows.append((PACK, item))
        if wanted:
            rows.append(("|".join((mode, *namespace)), encode(without_internals(mode, data))))
        if mode == "values":
            self._compactor.note_values(namespace, data)
        return rows

    def _release(self) -> None:
        """Log the values that waited for their checkpoint."""
        if self._waiting is not None:
            (_, row), self._waiting = self._waiting, None
            self._log(*row)

    def _log(self, name: str, row: str) -> None:
        if name == PACK:
            self._stream.note(row)
        else:
            self._stream.append(name, row)

    def _check(self, event: tuple[str, str]) -> None:
        """Raise RunTooLarge: the log, and all who read it, hold what a run streams."""
        if self._event_limit and len(event[1]) > self._event_limit:
            raise RunTooLarge(f"An event ({event[0]}) is larger than {self._event_limit} characters.")
        self._streamed += 1
        if self._count_limit and self._streamed > self._count_limit:
            raise RunTooLarge(f"The run streams more than {self._count_limit} events.")
