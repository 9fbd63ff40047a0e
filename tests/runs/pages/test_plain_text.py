"""A thread as plain text: every message that says or does something, and the questions."""

from __future__ import annotations

from typing import Any

import pytest

from runs.pages.plain_text import messages_of, questions_of


@pytest.mark.parametrize(
    ("message", "author", "text"),
    [
        ({"type": "human", "content": "Hello"}, "You", "Hello"),
        ({"role": "assistant", "content": "Hello"}, "Answer", "Hello"),
        ({"type": "AIMessageChunk", "content": "Hello"}, "Answer", "Hello"),
        ({"type": "ai", "content": "", "tool_calls": [{"name": "look", "id": "1"}]}, "Answer", "Called `look`"),
        (
            {"type": "ai", "content": [{"type": "text", "text": "Wait."}, {"type": "tool_use", "name": "look", "id": "1"}],
             "tool_calls": [{"name": "look", "id": "1"}, {"name": "send", "id": "2"}]},
            "Answer", "Wait.\n\nCalled `look`\n\nCalled `send`",
        ),
        ({"type": "ai", "content": "", "invalid_tool_calls": [{"name": None}]}, "Answer", "Called `a tool`"),
        ({"type": "human", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, "You", "A picture"),
        ({"type": "human", "content": [{"type": "image", "base64": "x"}]}, "You", "A picture"),
        ({"type": "human", "content": [{"type": "file", "filename": "a.pdf"}]}, "You", "A file: a.pdf"),
        ({"type": "human", "content": [{"type": "file", "file": {"filename": "a.pdf"}}]}, "You", "A file: a.pdf"),
        ({"type": "human", "content": [{"type": "file", "metadata": 1}]}, "You", "A file: without a name"),
        ({"type": "tool", "name": "look", "content": "Sunny"}, "Tool look", "Sunny"),
        ({"type": "remove", "content": "x"}, "Remove", "x"),
        ({"content": "lone \ud800"}, "Message", "lone \\ud800"),
    ],
)  # fmt: skip
def test_a_message_says_what_it_brings(message: dict[str, Any], author: str, text: str) -> None:
    assert messages_of({"messages": [message]}) == [{"author": author, "text": text}]


@pytest.mark.parametrize("content", [None, "", [], [{"type": "reasoning", "reasoning": "Hm"}], {"a": 1}, 5])
def test_a_message_without_anything_to_read_is_left_out(content: Any) -> None:
    assert messages_of({"messages": [{"type": "ai", "content": content, "tool_calls": None}]}) == []


@pytest.mark.parametrize("values", [None, "x", {}, {"messages": "x"}, {"messages": ["x", None]}])
def test_values_of_other_shapes_have_no_messages(values: Any) -> None:
    assert messages_of(values) == []


def test_questions_are_those_of_all_tasks() -> None:
    asked = {"a": [{"id": "1", "value": {"question": "One?"}}], "b": [{"id": "2", "value": "Two? \ud800"}]}
    assert questions_of(asked) == ["One?", "Two? \\ud800"]
    assert questions_of(None) == []
