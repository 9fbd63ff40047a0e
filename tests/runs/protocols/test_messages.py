"""Accumulating token deltas, compared with LangChain's own addition of chunks."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from runs.encoding import encode
from runs.protocols.messages import MessageAccumulator, as_message, merged

Json = dict[str, Any]


def on_the_wire(chunk: AIMessageChunk) -> Json:
    wire: Json = orjson.loads(encode(chunk))
    return wire


def by_hand(chunks: list[AIMessageChunk]) -> Json:
    total = on_the_wire(chunks[0])
    for chunk in chunks[1:]:
        total = merged(total, on_the_wire(chunk))
    return as_message(total)


def by_langchain(chunks: list[AIMessageChunk]) -> Json:
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk  # type: ignore[assignment]
    wire: Json = orjson.loads(encode(message_chunk_to_message(total)))
    return wire


def piece(text: str, **extra: Any) -> AIMessageChunk:
    return AIMessageChunk(content=text, id="run-1", **extra)


def call(index: int, args: str, name: str | None = None, call_id: str | None = None) -> ToolCallChunk:
    return tool_call_chunk(name=name, args=args, id=call_id, index=index)


USAGE = {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6, "input_token_details": {"cache_read": 3}}
STREAMS: dict[str, list[AIMessageChunk]] = {
    "text": [piece("Hel"), piece(""), piece("lo"), piece("", chunk_position="last")],
    "usage": [piece("a", usage_metadata=USAGE), piece("b"), piece("", usage_metadata=USAGE)],
    "tool calls": [
        piece("", tool_call_chunks=[call(0, "", "search", "c1")]),
        piece("", tool_call_chunks=[call(0, '{"q": "a')]),
        piece("", tool_call_chunks=[call(1, '{"n":', "count", "c2")]),
        piece("", tool_call_chunks=[call(0, 'b"}'), call(1, " 2}")]),
        piece("", chunk_position="last"),
    ],
    "a call whose arguments are no object": [
        piece("", tool_call_chunks=[call(0, "[1", "f", "c1")]),
        piece("", tool_call_chunks=[call(0, ", 2]")]),
    ],
    "a call whose arguments are no JSON": [
        piece("", tool_call_chunks=[call(0, "oops", "f", "c1")]),
        piece(""),
    ],
    "blocks": [
        AIMessageChunk(content=[{"type": "text", "text": "Hel", "index": 0}], id="run-1"),
        AIMessageChunk(content=[{"type": "text", "text": "lo", "index": 0}], id="run-1"),
        AIMessageChunk(content=[{"type": "reasoning", "reasoning": "so", "index": 1}], id="run-1"),
    ],
    "text and then blocks": [
        piece("a"),
        AIMessageChunk(content=[{"type": "text", "text": "b"}], id="run-1"),
        piece("c"),
    ],
    "additional": [
        piece("", additional_kwargs={"reasoning_content": "one "}, response_metadata={"model_name": "m"}),
        piece(
            "x", additional_kwargs={"reasoning_content": "two"}, response_metadata={"finish_reason": "stop"}
        ),
    ],
    "standard blocks": [
        AIMessageChunk(
            content=[{"type": "tool_call_chunk", "id": "c1", "name": "f", "args": '{"a":', "index": 0}],
            tool_call_chunks=[call(0, '{"a":', "f", "c1")],
            response_metadata={"output_version": "v1"},
            id="run-1",
        ),
        AIMessageChunk(
            content=[{"type": "tool_call_chunk", "id": None, "name": None, "args": "1}", "index": 0}],
            tool_call_chunks=[call(0, "1}")],
            response_metadata={"output_version": "v1"},
            chunk_position="last",
            id="run-1",
        ),
    ],
}


@pytest.mark.parametrize("name", STREAMS)
def test_chunks_add_up_to_what_langchain_makes_of_them_after_each_one(name: str) -> None:
    chunks = STREAMS[name]
    for count in range(1, len(chunks) + 1):
        assert by_hand(chunks[:count]) == by_langchain(chunks[:count])


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
pieces = st.builds(
    lambda text, args, tokens: piece(
        text,
        tool_call_chunks=[call(index, part) for index, part in args],
        usage_metadata={"input_tokens": 0, "output_tokens": tokens, "total_tokens": tokens}
        if tokens
        else None,
    ),
    texts,
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["", "{", '"a"', ":", "1", "}", "oops"])), max_size=2
    ),
    st.integers(0, 3),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=8))
def test_any_chunks_add_up_to_what_langchain_makes_of_them(chunks: list[AIMessageChunk]) -> None:
    assert by_hand(chunks) == by_langchain(chunks)


def test_values_that_cannot_be_added_do_not_end_the_stream() -> None:
    accumulator = MessageAccumulator()
    first = on_the_wire(piece("a", additional_kwargs={"x": 1}))
    second = on_the_wire(piece("b", additional_kwargs={"x": "y"}))
    accumulator.feed(encode([first, {}]))
    [(name, data)] = accumulator.feed(encode([second, {}]))
    [message] = orjson.loads(data)
    assert (name, message["content"], message["additional_kwargs"]) == ("messages/partial", "ab", {"x": "y"})


def test_arguments_that_json_cannot_hold_do_not_end_the_stream() -> None:
    chunk = on_the_wire(
        piece("", tool_call_chunks=[call(0, '{"n": 1' + "0" * 40 + ', "s": "\\ud800"}', "f", "c")])
    )
    frames = MessageAccumulator().feed(encode([chunk, {}]))
    assert orjson.loads(frames[-1][1])[0]["tool_calls"][0]["name"] == "f"


def test_messages_that_stream_at_once_do_not_mix() -> None:
    accumulator = MessageAccumulator()
    contents = {}
    for text, message_id in [("a", "1"), ("x", "2"), ("b", "1"), ("y", "2")]:
        chunk = on_the_wire(AIMessageChunk(content=text, id=message_id))
        *_, (_, data) = accumulator.feed(encode([chunk, {}]))
        contents[message_id] = orjson.loads(data)[0]["content"]
    assert contents == {"1": "ab", "2": "xy"}
