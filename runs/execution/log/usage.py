"""Counts the tokens of a run's models, and notes their calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult

from runs.execution.log.notes import model_note
from runs.protocols.errors import describe

#: The most models that are told apart, and the most characters of a name.
MOST_MODELS, LONGEST_NAME = 50, 100
#: Where the tokens of further models are counted.
OTHERS = "others"


class Usage(BaseCallbackHandler):
    """Counts a run's tokens, including those of models without a name, which LangChain's own
    counter skips, and notes each call of a model.

    Called in the event loop, because LangChain would otherwise use a thread for each token.
    """

    run_inline = True
    ignore_chain = ignore_retriever = ignore_agent = ignore_retry = ignore_custom_event = True

    def __init__(self) -> None:
        super().__init__()
        self.input = self.output = 0
        #: Input tokens and output tokens, by the model's name.
        self.by_model: dict[str, list[int]] = {}
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
        self._calls[run_id] = str(name or "model")[:LONGEST_NAME]
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
                self.input += used["input_tokens"]
                self.output += used["output_tokens"]
                if model not in self.by_model and len(self.by_model) >= MOST_MODELS:
                    model = OTHERS
                counted = self.by_model.setdefault(model, [0, 0])
                counted[0] += used["input_tokens"]
                counted[1] += used["output_tokens"]
                return used
        return None
