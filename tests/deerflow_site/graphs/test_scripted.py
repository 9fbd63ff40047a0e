from __future__ import annotations

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage

from deerflow_site.graphs import prompts
from deerflow_site.graphs.researcher import search_documents
from deerflow_site.graphs.scripted import ScriptedChatModel

PLAN = [SystemMessage(prompts.PLAN), HumanMessage("How do queues deliver twice?")]
ASK = prompts.prompt(prompts.ASK, question="How do queues deliver twice?", angle="Failures", kind="failures")


def merged(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    first, *rest = chunks
    return first + rest


@pytest.mark.asyncio
async def test_all_ways_to_call_the_model_give_the_same_answer() -> None:
    model = ScriptedChatModel().bind_tools([search_documents])
    for messages in (PLAN, ASK):
        answers = [
            model.invoke(messages),
            await model.ainvoke(messages),
            merged(list(model.stream(messages))),  # type: ignore[arg-type]
            merged([chunk async for chunk in model.astream(messages)]),  # type: ignore[misc]
        ]
        assert len({(a.text, str(a.tool_calls), str(a.usage_metadata)) for a in answers}) == 1
        assert answers[0].text and answers[0].usage_metadata


def test_a_stream_has_one_message_id_and_word_sized_chunks() -> None:
    chunks = list(ScriptedChatModel().stream(PLAN))
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].id
    assert all(len(chunk.text.split()) == 1 for chunk in chunks[:-1])
    assert chunks[-1].text == "" and chunks[-1].usage_metadata is not None


def test_a_tool_call_streams_as_chunks_beside_the_text() -> None:
    chunks = list(ScriptedChatModel().bind_tools([search_documents]).stream(ASK))
    parts = [part for chunk in chunks for part in chunk.tool_call_chunks]  # type: ignore[attr-defined]
    assert parts[0]["name"] == "search_documents" and parts[0]["id"]
    assert len(parts) > 3 and {part["index"] for part in parts} == {1}
    whole = merged(chunks)  # type: ignore[arg-type]
    assert whole.tool_calls[0]["args"] == {"query": "queues deliver twice", "kind": "failures"}
    assert whole.response_metadata["finish_reason"] == "tool_calls"
    assert [block["type"] for block in whole.content_blocks] == ["text", "tool_call"]


def test_the_text_and_the_tool_call_are_two_blocks_of_the_event_stream() -> None:
    model = ScriptedChatModel().bind_tools([search_documents])
    events = list(model.stream_events(ASK, version="v3"))
    finished = [event["content"] for event in events if event["event"] == "content-block-finish"]
    assert [content["type"] for content in finished] == ["text", "tool_call"]
    assert finished[1]["args"] == {"query": "queues deliver twice", "kind": "failures"}


def test_without_tools_no_tool_is_called() -> None:
    assert ScriptedChatModel().invoke(ASK).tool_calls == []


@pytest.mark.parametrize(
    "messages", ["hello there", [SystemMessage("Be kind."), HumanMessage("hello there")]]
)
def test_an_instruction_outside_the_script_is_answered_plainly(messages: str) -> None:
    assert "hello there" in ScriptedChatModel().invoke(messages).text
