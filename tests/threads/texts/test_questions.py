"""A graph's question in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from threads.texts.questions import question_of


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("Which one?", "Which one?"),
        ({"question": "Go on?", "options": ["yes", "no"]}, "Go on?"),
        ({"prompt": 5, "query": "What?"}, "What?"),
        (
            {"action_requests": [{"name": "send", "args": {}}, {"action": "publish"}]},
            "May I run send, publish?",
        ),
        ([{"action_request": {"action": "send", "args": {}}, "config": {}}], "May I run send?"),
        ({"action_request": {"action": "send"}}, "May I run send?"),
        ({"action_requests": []}, '{"action_requests":[]}'),
        ({"action_requests": [5]}, '{"action_requests":[5]}'),
        ([], "[]"),
        (None, "null"),
        ({"ä": 1}, '{"ä":1}'),
    ],
)
def test_a_question_of_any_form_is_a_sentence(value: Any, sentence: str) -> None:
    assert question_of(value) == sentence
