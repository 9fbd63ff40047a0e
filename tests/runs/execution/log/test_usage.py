"""The tokens of a run's models, told apart by their names."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tools import tool
from langgraph.errors import GraphInterrupt

from runs.events import usage
from runs.events.usage import OTHERS, columns
from runs.execution.log.notes import Notes, noting
from runs.execution.log.usage import Usage
from tests.runs.execution.log.test_notes import Stream


def answer(received: int, sent: int) -> LLMResult:
    used: Any = {"input_tokens": received, "output_tokens": sent, "total_tokens": received + sent}
    return LLMResult(generations=[[ChatGeneration(message=AIMessage("x", usage_metadata=used))]])


def call(found: Usage, name: str | None, received: int = 1, sent: int = 2) -> None:
    run_id = uuid4()
    found.on_chat_model_start({"name": "Chat"}, [], run_id=run_id, metadata={"ls_model_name": name})
    found.on_llm_end(answer(received, sent), run_id=run_id)


def test_calls_are_counted_by_model() -> None:
    found = Usage()
    for name in ("big", "small", "big", None):
        call(found, name)
    assert found.by_model == {"big": [2, 4], "small": [1, 2], "Chat": [1, 2]}
    assert columns(found.by_model) == {"input_tokens": 4, "output_tokens": 8, "usage": found.by_model}


def test_calls_that_overlap_and_fail_are_told_apart() -> None:
    found, one, two = Usage(), uuid4(), uuid4()
    for run_id, name in ((one, "a"), (two, "b")):
        found.on_llm_start({}, [], run_id=run_id, metadata={"ls_model_name": name})
    found.on_llm_error(ValueError("x"), run_id=one)
    found.on_llm_end(answer(5, 6), run_id=two)
    assert found.by_model == {"b": [5, 6]}


@tool
def lookup(how: str) -> str:
    """Fails, or asks a person."""
    if how == "ask":
        raise GraphInterrupt()
    raise Gone("api_key=sesame is no key of /srv")


class Gone(Exception):
    """An exception whose text clients may not read."""


@pytest.mark.parametrize("how", ["fail", "ask"])
async def test_the_error_of_a_tool_is_noted_for_operators(how: str) -> None:
    stream = Stream()
    token = noting.set(Notes(stream))
    try:
        with pytest.raises((Gone, GraphInterrupt)):
            await lookup.ainvoke(
                {"type": "tool_call", "name": "lookup", "args": {"how": how}, "id": "c1"},
                {"callbacks": [Usage()]},
            )
    finally:
        noting.reset(token)
    told = [(mode, data["id"], data["error"]["message"]) for mode, _, _, data in stream.items]
    assert told == ([] if how == "ask" else [("tool", "c1", "api_key=*** is no key of /srv")])


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_MODELS", 1)
    found = Usage()
    for name in ("a" * 500, "b", "c"):
        call(found, name)
    assert found.by_model == {"a" * 100: [1, 2], OTHERS: [2, 4]}
