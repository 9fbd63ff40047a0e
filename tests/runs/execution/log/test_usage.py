"""The tokens of a run's models, told apart by their names."""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tools import tool
from langgraph.errors import GraphInterrupt

from runs.events import usage
from runs.events.usage import MOST_TOKENS, OTHERS, columns, tokens_of
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


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (-1, 0), (2**70, MOST_TOKENS), (3.7, 3), (math.nan, 0), (math.inf, MOST_TOKENS), (-math.inf, 0),
        (True, 0), ("5", 0), (None, 0), ([5], 0),
    ],
)  # fmt: skip
def test_what_a_model_says_is_a_count_that_every_database_stores(said: Any, counted: int) -> None:
    assert tokens_of({"input_tokens": said, "output_tokens": 7}) == (counted, 7)
    assert tokens_of({"output_tokens": said}) == (0, counted)


def test_a_sum_stays_what_every_database_stores() -> None:
    found = Usage()
    for name in ("big", "big", "small"):
        call(found, name, MOST_TOKENS - 1, 1)
    most = [MOST_TOKENS, 2]
    assert found.by_model == {"big": most, "small": [MOST_TOKENS - 1, 1]}
    assert columns(found.by_model) == {
        "input_tokens": MOST_TOKENS,
        "output_tokens": 3,
        "usage": found.by_model,
    }
