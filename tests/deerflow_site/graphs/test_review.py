from __future__ import annotations

from typing import Any

import pytest

from deerflow_site.graphs.review import HINT, NO_FEEDBACK, Verdict, read_answer


@pytest.mark.parametrize("answer", [True, "approve", " Approved. ", "yes", "LGTM", {"action": "approve"}])
def test_an_explicit_yes_approves(answer: Any) -> None:
    assert read_answer(answer) == Verdict(approved=True)


@pytest.mark.parametrize(
    ("answer", "feedback"),
    [
        ("Shorter, please.", "Shorter, please."),
        ("yes, but shorter", "yes, but shorter"),
        ({"action": "revise", "feedback": " shorter "}, "shorter"),
        ({"decisions": [{"type": "reject", "message": " shorter "}]}, "shorter"),
        ({"feedback": "shorter"}, "shorter"),
        ({"action": False, "feedback": "shorter"}, "shorter"),
    ],
)
def test_what_to_change_is_feedback(answer: Any, feedback: str) -> None:
    assert read_answer(answer) == Verdict(feedback=feedback)


@pytest.mark.parametrize(
    "answer", [False, "no", "reject", {"action": "revise"}, {"action": "revise", "feedback": 3}]
)
def test_a_no_without_feedback_asks_what_to_change(answer: Any) -> None:
    assert read_answer(answer) == Verdict(hint=NO_FEEDBACK)


@pytest.mark.parametrize(
    "answer", [None, "", "  ", 1, [], ["approve"], {}, {"action": "aprove"}, {"action": 1}]
)
def test_what_cannot_be_read_is_asked_again(answer: Any) -> None:
    assert read_answer(answer) == Verdict(hint=HINT)


@pytest.mark.parametrize("decisions", [
    None, [], {}, ["approve"], [{"type": "approve"}, {"type": "approve"}], [{"type": "aprove"}], [{}],
    [{"type": "edit"}], [{"type": "edit", "edited_action": {"args": {"draft": " "}}}], [{"type": "reject"}],
    [{"type": "reject", "message": 3}],
])  # fmt: skip
def test_a_decision_that_is_unclear_is_asked_again(decisions: Any) -> None:
    verdict = read_answer({"decisions": decisions})
    assert verdict.hint
    assert (verdict.approved, verdict.feedback, verdict.draft) == (False, "", "")
