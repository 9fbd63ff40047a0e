"""Questions and answers in a terminal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from runs.management.agents.chat_answers import answer_to, question_lines

ACTION = {"name": "send", "args": {"to": "ada", "text": "x" * 500}, "description": "Send this mail?"}


def typed(*texts: str) -> Callable[[str], Awaitable[str]]:
    left = list(texts)

    async def ask(prompt: str) -> str:
        return left.pop(0)

    return ask


@pytest.mark.parametrize(
    ("value", "texts", "answer"),
    [
        ("Really?", ["yes"], "yes"),
        ({"question": "How many?"}, ["3"], 3),
        ({"question": "What?"}, ['{"a": [1]}'], {"a": [1]}),
        ({"action_requests": [ACTION]}, ["a"], {"decisions": [{"type": "approve"}]}),
        ({"action_requests": [ACTION]}, ["x", "reject", "too long"], {"decisions": [{"type": "reject", "message": "too long"}]}),
        (
            {"action_requests": [ACTION, ACTION]}, ["a", "e", "no json", "edit", '{"to": "bob"}'],
            {"decisions": [{"type": "approve"}, {"type": "edit", "edited_action": {"name": "send", "args": {"to": "bob"}}}]},
        ),
        ({"action_requests": [ACTION]}, [""], {"decisions": [{"type": "reject", "message": "Nobody answered."}]}),
    ],
)  # fmt: skip
async def test_answers(value: Any, texts: list[str], answer: Any) -> None:
    assert await answer_to(value, ask=typed(*texts)) == answer


def test_a_question_shows_what_it_is_about() -> None:
    assert list(question_lines("Really?")) == ["? Really?"]
    first, to, text = question_lines({"action_requests": [ACTION]})
    assert (first, to) == ("? Send this mail?", "  to: ada")
    assert len(text) < 200
