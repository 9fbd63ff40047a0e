"""The `messages` mode for models that nodes call through their events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import langgraph.pregel.main as pregel
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel._messages import StreamMessagesHandler

from runs.execution.log.model_events import Chunks, MessagesHandler
from runs.protocols.agent.messages import Messages
from tests.support.chat_models import Scripted

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")


class Caller(Scripted):
    """Says two words, thinks one, and calls a tool."""

    def pieces(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        thought = {"type": "reasoning", "reasoning": "hm", "index": 0}
        calls = [
            tool_call_chunk(name="weather", args='{"place":', id="c1", index=2),
            tool_call_chunk(name=None, args='"Bern"}', id=None, index=2),
        ]
        return [
            AIMessageChunk([thought], response_metadata={"output_version": "v1"}),
            *[AIMessageChunk([{"type": "text", "text": word, "index": 1}]) for word in ("a ", "b ")],
            *[AIMessageChunk("", tool_call_chunks=[call]) for call in calls],
            AIMessageChunk(""),
        ]


class Telling(Caller):
    """Reports its tokens itself, like many models."""

    async def _astream(self, messages: Any, *args: Any, run_manager: Any = None, **kwargs: Any) -> Any:
        async for chunk in super()._astream(messages):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def graph_of(model: Scripted, *, events: bool) -> Any:
    async def talk(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        if not events:
            return {"messages": [await model.ainvoke(state["messages"], config)]}
        stream: Any = await model.astream_events(state["messages"], config, version="v3")
        return {"messages": [await stream.output]}

    builder = StateGraph(MessagesState)
    builder.add_node("talk", talk)
    builder.add_edge(START, "talk")
    return builder.compile()


async def told(model: Scripted, *, events: bool) -> tuple[list[BaseMessage], AIMessage]:
    """The streamed messages of a run, and its final message."""
    chunks, values = [], {}
    stream: AsyncIterator[Any] = graph_of(model, events=events).astream(
        {"messages": [("user", "hi")]}, stream_mode=["messages", "values"]
    )
    async for mode, data in stream:
        if mode == "messages":
            chunks.append(data[0])
        else:
            values = data
    return chunks, values["messages"][-1]


@pytest.mark.parametrize("model", [Caller(), Telling()])
async def test_events_are_told_as_chunks_and_nothing_twice(model: Scripted) -> None:
    chunks, kept = await told(model, events=True)
    assert {(type(each), each.id) for each in chunks} == {(AIMessageChunk, kept.id)}
    whole: Any = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    [call] = whole.tool_calls
    assert (call["name"], call["args"], call["id"]) == ("weather", {"place": "Bern"}, "c1")
    assert whole.text == "a b "
    assert whole.usage_metadata == kept.usage_metadata
    assert whole.chunk_position == "last"
    assert [each.text for each in chunks if each.text] == ["a ", "b "]


@pytest.mark.parametrize("events", [True, False])
async def test_clients_of_the_protocol_are_told_the_same(events: bool) -> None:
    chunks, _ = await told(Caller(), events=events)
    messages = Messages()
    pieces = [piece.data for each in chunks for piece in messages.feed((), each.model_dump(), "talk")]
    kinds = [piece["event"] for piece in pieces]
    assert (kinds[0], kinds[-1], kinds.count("message-start")) == ("message-start", "message-finish", 1)
    deltas = [piece["delta"] for piece in pieces if piece["event"] == "content-block-delta"]
    assert {"type": "reasoning-delta", "reasoning": "hm"} in deltas
    assert [each["text"] for each in deltas if each["type"] == "text-delta"] == ["a ", "b "]
    blocks = {
        piece["content"]["type"]: piece["content"]
        for piece in pieces
        if piece["event"] == "content-block-finish"
    }
    assert set(blocks) == {"reasoning", "text", "tool_call"}
    assert blocks["text"]["text"] == "a b "
    assert (blocks["tool_call"]["id"], blocks["tool_call"]["args"]) == ("c1", {"place": "Bern"})
    assert not messages.close()


async def test_plain_langgraph_tells_such_a_message_only_when_it_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason for our own handler."""
    assert pregel.StreamMessagesHandler is MessagesHandler  # type: ignore[comparison-overlap]
    monkeypatch.setattr(pregel, "StreamMessagesHandler", StreamMessagesHandler)
    chunks, kept = await told(Caller(), events=True)
    assert [(type(each), each.id) for each in chunks] == [(AIMessage, kept.id)]


def test_what_does_not_grow_comes_with_its_end() -> None:
    chunks = Chunks()
    image = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    assert chunks.of({"event": "message-start", "id": "m", "role": "ai"}) is None
    start = {"event": "content-block-start", "index": 0, "content": {"type": "image"}}
    assert chunks.of(start) is None
    assert (
        chunks.of(
            {"event": "content-block-delta", "index": 0, "delta": {"type": "data-delta", "data": "aGk="}}
        )
        is None
    )
    whole = chunks.of({"event": "content-block-finish", "index": 0, "content": image})
    assert whole is not None
    assert whole.content == [{**image, "index": 0}]
    # An event of a later version of the protocol.
    assert chunks.of({"event": "something", "index": 0}) is None


async def test_an_error_ends_a_call_that_was_told() -> None:
    class Failing(Caller):
        async def _astream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            yield ChatGenerationChunk(message=AIMessageChunk("a "))
            raise ValueError("kaboom")

    with pytest.raises(ValueError, match="kaboom"):
        await told(Failing(), events=True)
