"""What a thread's values say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from threads.db.fields import Encoded
from threads.texts.content import LARGEST, LONGEST_TITLE, Content, called, content_of, title_of

#: What a thread is called: also read by the test of the chat page's rule (tests/browser/protocol.mjs).
TITLES = json.loads((Path(__file__).parents[2] / "support" / "titles.json").read_text())


def message(content: Any, type: str = "human") -> dict[str, Any]:
    return {"type": type, "content": content}


def test_people_find_what_they_and_the_agent_said() -> None:
    blocks = [{"type": "text", "text": "Two"}, {"type": "image", "data": "iVBOR"}, "three"]
    values = {
        "title": " The\n heron ",
        "messages": [
            message("One"),
            message(blocks, "ai"),
            message("secret", "tool"),
            {"role": "user", "content": "four"},
        ],
    }
    found = content_of(values)
    assert (found.title, found.text) == ("The heron", "One\nTwo\n\nthree\nfour")
    assert found.words == {"one", "two", "three", "four"}
    assert content_of(Encoded('{"messages": [{"type": "ai", "content": "x"}]}')).text == "x"


@pytest.mark.parametrize(
    "values",
    [None, 1, "x", [], {}, {"messages": "x"}, {"messages": [1, None, {}, message(None), message({"a": 1}), message([1, {"text": None}])]},
     {"title": 5, "messages": {"a": 1}}],
)  # fmt: skip
def test_values_of_other_shapes_say_nothing(values: Any) -> None:
    assert content_of(values) == Content()


def test_the_newest_messages_are_kept_of_a_long_conversation() -> None:
    text = content_of({"messages": [message(f"m{place} " + "é" * 5000) for place in range(20)]}).text
    assert LARGEST - 5 <= len(text.encode()) <= LARGEST
    assert text.endswith("é")
    assert "m19 " in text
    assert "m0 " not in text
    assert len(content_of({"messages": [message("x" * 10**6)]}).text) == LARGEST
    assert len(content_of({"title": "x" * 10**6}).title) == LONGEST_TITLE


def test_what_no_database_stores_is_replaced() -> None:
    assert content_of({"messages": [message("a\0b \ud800 c")]}).text == "a b ? c"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, "graph's"),
        ({"title": "first words"}, "graph's"),
        ({"title": "mine", "renamed": True}, "mine"),
        ({"title": 7, "renamed": True}, "graph's"),
    ],
)
def test_a_persons_title_comes_first(metadata: dict[str, Any], expected: str) -> None:
    assert title_of(Content("graph's"), metadata) == expected
    assert title_of(Content(), {"title": "first words"}) == "first words"


@pytest.mark.parametrize(("why", "values", "metadata", "title"), TITLES)
def test_a_page_calls_a_thread_by_its_title_or_its_first_message(
    why: str, values: Any, metadata: dict[str, Any], title: str
) -> None:
    assert called(values, metadata) == title, why


@pytest.mark.parametrize("values", [None, "x", {"messages": ["x"]}, {"messages": [{"content": {"a": 1}}]}])
def test_values_of_other_shapes_give_no_name(values: Any) -> None:
    assert called(values, {}) == "Untitled"
