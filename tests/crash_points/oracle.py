"""A story on plain LangGraph, without a server and without an accident."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langgraph._internal._constants import CONFIG_KEY_CHECKPOINT_MAP, CONFIG_KEY_RESUMING
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.pregel._loop import PregelLoop
from langgraph.types import Command, Send, StateSnapshot

from runs.execution.loops import ended
from runs.execution.resume import INTERRUPT, NULL_TASK, RESUME
from tests.crash_points.telling import Shown


class Memory(InMemorySaver):
    """The saver of graphs that are corrected where a subgraph with a memory of its own would ignore its input."""


@contextmanager
def corrected() -> Iterator[None]:
    """Give a subgraph its input when the task that calls it has not begun (docs/reference/upstream.md)."""
    original = PregelLoop._first

    def first(loop: Any, **arguments: Any) -> Any:
        places, configurable = loop.checkpoint_config["configurable"], loop.config["configurable"]
        above = list(configurable.get(CONFIG_KEY_CHECKPOINT_MAP, {}).items())
        if isinstance(loop.checkpointer, Memory) and above and configurable.get(CONFIG_KEY_RESUMING):
            namespace, parent = above[-1]
            place = {"thread_id": places["thread_id"], "checkpoint_ns": namespace, "checkpoint_id": parent}
            found = loop.checkpointer.get_tuple({"configurable": place})
            # In `exit` a checkpoint is stored when the run ends.
            edited = found is not None and found.metadata["source"] == "update"
            older = loop._has_persisted_parent and loop._loaded_latest and loop.checkpoint["id"] < parent
            if older and (not edited or ended(loop)):
                loop.config = {**loop.config, "configurable": {**configurable, CONFIG_KEY_RESUMING: False}}
        return original(loop, **arguments)

    PregelLoop._first = first  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        PregelLoop._first = original  # type: ignore[method-assign]


class Plain:
    """Plays on a graph with a saver in memory."""

    def __init__(self, graph: Any, durability: str) -> None:
        self._durability = durability
        self._graph = graph.copy()
        self._saver = self._graph.checkpointer = Memory()
        self._config: Any = {"configurable": {"thread_id": "1"}}
        self._waiting: dict[str, str] = {}
        #: The values of all checkpoints of the root graph, as each run left them.
        self.committed: set[str] = set()

    async def run(
        self, *, input: Any = None, command: Any = None, checkpoint: Any = None, **fields: Any
    ) -> Shown:
        config = self._config
        if checkpoint:
            config = {"configurable": {**config["configurable"], **checkpoint}}
        if command is not None and isinstance(command["resume"], str) and len(self._waiting) == 1:
            # As the server binds it, so that it reaches no other interrupt (docs/reference/upstream.md).
            command = {**command, "resume": dict.fromkeys(self._waiting, command["resume"])}
        if checkpoint and command is not None and isinstance(command["resume"], str):
            asked = await self.asked(checkpoint)
            if len(asked) == 1:
                command = {**command, "resume": dict.fromkeys(asked, command["resume"])}
        if checkpoint and command is not None:
            await self._forget_answer(checkpoint, command["resume"])
        given = _command(command) if command is not None else input
        error: Exception | None = None
        try:
            options = {key: each for key, each in fields.items() if each}
            with corrected():
                await self._graph.ainvoke(given, config, durability=self._durability, **options)
        except Exception as raised:
            error = raised
        self._forget_plain_answers()
        self.committed |= {repr(each.values) async for each in self._graph.aget_state_history(self._config)}
        return await self._shown(error)

    def _forget_plain_answers(self) -> None:
        """Remove plain answers that LangGraph would give to what later runs ask (docs/reference/upstream.md)."""
        for stored in self._saver.writes.values():
            for key in [
                key for key, (_, channel, *_) in stored.items() if (key[0], channel) == (NULL_TASK, RESUME)
            ]:
                del stored[key]

    async def _forget_answer(self, checkpoint: dict[str, Any], resume: Any) -> None:
        """Remove the answer that LangGraph would give instead of a new one at an older checkpoint (docs/reference/upstream.md)."""
        shown = await self.asked(checkpoint)
        ids = set(resume) if isinstance(resume, dict) else set(shown)
        stored = self._saver.writes["1", "", checkpoint["checkpoint_id"]]
        for task, channel, typed, _ in list(stored.values()):
            if channel != INTERRUPT or ids.isdisjoint(
                each.id for each in self._saver.serde.loads_typed(typed)
            ):
                continue
            for key, (owner, name, given, path) in stored.items():
                if (owner, name) == (task, RESUME):
                    kept = self._saver.serde.loads_typed(given)[:-1]
                    stored[key] = (owner, name, self._saver.serde.dumps_typed(kept), path)

    async def edit(self, values: dict[str, Any], as_node: str | None) -> Shown | None:
        try:
            await self._graph.aupdate_state(self._config, values, as_node)
        except InvalidUpdateError:
            # It cannot tell as which node.
            return None
        return await self._shown(None)

    async def beginning(self) -> str:
        return await beginning(self._graph, self._config)

    async def asked(self, place: dict[str, Any]) -> dict[str, str]:
        return await asked(self._graph, self._config, place)

    async def place(self, *, inside: bool) -> dict[str, Any]:
        return await place(self._graph, self._config, inside=inside)

    async def _shown(self, error: Exception | None) -> Shown:
        state = await self._graph.aget_state(self._config)
        waiting = self._waiting = {each.id: each.value for each in state.interrupts}
        thread = "error" if error else "interrupted" if waiting or state.next else "idle"
        return Shown(
            "error" if error else "success", thread, state.values or None, waiting, tuple(state.next)
        )


async def beginning(graph: Any, config: Any) -> str:
    """The id of the checkpoint that the first input made."""
    history = [each async for each in graph.aget_state_history(config)]
    return min(each.config["configurable"]["checkpoint_id"] for each in history if each.metadata["step"] == 0)


async def place(graph: Any, config: Any, *, inside: bool) -> dict[str, Any]:
    """The address of the checkpoint at which a thread stands, or at which its innermost graph does."""
    state = await graph.aget_state(config, subgraphs=True)
    while inside and (
        states := [each.state for each in state.tasks if isinstance(each.state, StateSnapshot)]
    ):
        state = states[0]
    found = state.config["configurable"]
    names = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
    return {name: found[name] for name in names if found.get(name)}


async def asked(graph: Any, config: Any, place: dict[str, Any]) -> dict[str, str]:
    state = await graph.aget_state({"configurable": {**config["configurable"], **place}})
    return {each.id: each.value for each in state.interrupts}


def _command(given: dict[str, Any]) -> Command[Any]:
    goto = given.get("goto", ())
    return Command(**{**given, "goto": Send(goto["node"], goto["input"]) if isinstance(goto, dict) else goto})
