"""Counts the tokens of a run's models, and notes their calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult

from runs.events.usage import ByModel, count, named
from runs.execution.log.notes import model_note
from runs.protocols.errors import describe


class Usage(BaseCallbackHandler):
    """Counts a run's tokens, including those of models without a name, which LangChain's own
    counter skips, and notes each call of a model.

    Called in the event loop, because LangChain would otherwise use a thread for each token.
    """

    run_inline = True
    ignore_chain = ignore_retriever = ignore_agent = ignore_retry = ignore_custom_event = True

    def __init__(self) -> None:
        super().__init__()
        self.by_model: ByModel = {}
        #: The names of the models of calls that have not ended.
        self._calls: dict[UUID, str] = {}

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
        model_note("end", run_id, usage=dict(used) if used else None)

    def _count(self, response: LLMResult, model: str) -> Any:
        for generation in response.generations[0] if response.generations else ():
            used = getattr(getattr(generation, "message", None), "usage_metadata", None)
            if used:
                count(self.by_model, model, used["input_tokens"], used["output_tokens"])
                return used
        return None
