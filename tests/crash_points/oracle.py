"""A story on plain LangGraph, without a server and without an accident."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.types import Command

from runs.execution.resume import NULL_TASK, RESUME
from tests.crash_points.telling import Shown


class Plain:
    """Plays on a graph with a saver in memory."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph.copy()
        self._saver = self._graph.checkpointer = InMemorySaver()
        self._config: Any = {"configurable": {"thread_id": "1"}}
        self._waiting: dict[str, str] = {}

    async def run(
        self, *, input: Any = None, command: Any = None, checkpoint: Any = None, **fields: Any
    ) -> Shown:
        config = self._config
        if checkpoint:
            config = {"configurable": {**config["configurable"], **checkpoint}}
        if command is not None and isinstance(command["resume"], str) and len(self._waiting) == 1:
            # As the server binds it, so that it reaches no other interrupt (docs/reference/upstream.md).
            command = {**command, "resume": dict.fromkeys(self._waiting, command["resume"])}
        given = Command(**command) if command is not None else input
        error: Exception | None = None
        try:
            await self._graph.ainvoke(given, config, **{key: each for key, each in fields.items() if each})
        except Exception as raised:
            error = raised
        self._forget_plain_answers()
        return await self._shown(error)

    def _forget_plain_answers(self) -> None:
        """Remove plain answers that LangGraph would give to what later runs ask (docs/reference/upstream.md)."""
        for stored in self._saver.writes.values():
            for key in [
                key for key, (_, channel, *_) in stored.items() if (key[0], channel) == (NULL_TASK, RESUME)
            ]:
                del stored[key]

    async def edit(self, values: dict[str, Any]) -> Shown | None:
        try:
            await self._graph.aupdate_state(self._config, values)
        except InvalidUpdateError:
            # It cannot tell as which node.
            return None
        return await self._shown(None)

    async def beginning(self) -> str:
        return await beginning(self._graph, self._config)

    async def committed(self) -> set[str]:
        """The values of all checkpoints of the root graph."""
        history = self._graph.aget_state_history(self._config)
        return {repr(each.values) async for each in history}

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
