"""Counts the tokens of a run's models, and notes their calls and the errors of tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langgraph.errors import GraphBubbleUp

from runs.events.usage import COUNTS, ByModel, count, named, tokens_of
from runs.execution.log.notes import model_note, tool_note
from runs.protocols.errors import describe


class Usage(BaseCallbackHandler):
    """Counts a run's tokens, including those of models without a name, which LangChain's own
    counter skips, and notes each call of a model and each error of a tool.

    Called in the event loop, because LangChain would otherwise use a thread for each token.
    """

    run_inline = True
    # LangChain calls handlers of tools only if agents are not ignored.
    ignore_chain = ignore_retriever = ignore_retry = ignore_custom_event = True

    def __init__(self) -> None:
        super().__init__()
        self.by_model: ByModel = {}
        #: The names of the models of calls that have not ended.
        self._calls: dict[UUID, str] = {}
        #: The ids of the calls of tools that have not ended.
        self._tools: dict[UUID, str] = {}

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._begin(serialized, run_id, metadata or {})

    def on_llm_start(
        self,
        serialized: Any,
        prompts: Any,
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._begin(serialized, run_id, metadata or {})

    def _begin(self, serialized: Any, run_id: UUID, metadata: Mapping[str, Any]) -> None:
        name = metadata.get("ls_model_name") or (serialized or {}).get("name")
        self._calls[run_id] = named(name)
        model_note("start", run_id, name=name, namespace=metadata.get("langgraph_checkpoint_ns"))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._calls.pop(run_id, None)
        model_note("error", run_id, error=describe(error)[1])

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        used = self._count(response, self._calls.pop(run_id, "model"))
        model_note("end", run_id, usage=used)

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **kwargs: Any) -> None:
        # LangGraph's stream names a call without an id by its run.
        self._tools[run_id] = str(kwargs.get("tool_call_id") or run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._tools.pop(run_id, None)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        call = self._tools.pop(run_id, None)
        # A tool that asks a person, or is drained, has not failed.
        if call is not None and not isinstance(error, GraphBubbleUp):
            tool_note(call, describe(error)[1])

    def _count(self, response: LLMResult, model: str) -> dict[str, Any] | None:
        """Count a call's tokens; return what its model says of them, with the counts as counted."""
        for generation in response.generations[0] if response.generations else ():
            used = getattr(getattr(generation, "message", None), "usage_metadata", None)
            if used and isinstance(used, Mapping):
                tokens = tokens_of(used)
                count(self.by_model, model, *tokens)
                return {**used, **dict(zip(COUNTS, tokens, strict=True))}
        return None
