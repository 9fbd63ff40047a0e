"""The question to the human who reviews a draft, and how the answer is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

APPROVALS = frozenset(
    {"approve", "approved", "accept", "accepted", "yes", "ok", "okay", "lgtm", "looks good", "true"}
)
REVISIONS = frozenset({"revise", "reject", "rejected", "no", "false"})

QUESTION = "Approve this draft, or say what to change?"
HINT = "I did not understand that answer. Send “approve”, or a sentence that says what to change."
NO_FEEDBACK = "What should be different? Send a sentence that says what to change, or “approve”."

# For clients that make a form of it; the answer is read leniently by `read_answer`.
ANSWER_SCHEMA: dict[str, Any] = {
    "title": "Review",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": ["approve", "revise"], "title": "Decision"},
                "feedback": {"type": "string", "title": "What to change"},
            },
            "required": ["action"],
        },
        {"type": "string", "description": "“approve”, or what to change"},
        {"type": "boolean", "description": "true approves"},
    ],
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Approval, feedback to work in, or (neither) a hint with which the question is asked again."""

    approved: bool = False
    feedback: str = ""
    hint: str = ""


def decision(word: Any) -> bool | None:
    """Whether a word or a boolean approves (True), rejects (False) or says neither (None)."""
    if isinstance(word, bool):
        return word
    text = word.strip().rstrip(".!").lower() if isinstance(word, str) else ""
    return True if text in APPROVALS else False if text in REVISIONS else None


def read_answer(answer: Any) -> Verdict:
    """Read a human's answer. Only an explicit yes approves; what is unclear is asked again, never guessed."""
    if isinstance(answer, dict):
        decided, feedback = decision(answer.get("action")), answer.get("feedback")
    else:
        decided = decision(answer)
        feedback = answer if decided is None else None
    if decided:
        return Verdict(approved=True)
    if isinstance(feedback, str) and feedback.strip():
        return Verdict(feedback=feedback.strip())
    return Verdict(hint=HINT if decided is None else NO_FEEDBACK)
