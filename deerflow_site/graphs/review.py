"""The interrupt for the reviewer of a draft, and the parsing of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

APPROVALS = frozenset(
    {"approve", "approved", "accept", "accepted", "yes", "ok", "okay", "lgtm", "looks good", "true"}
)
REVISIONS = frozenset({"revise", "reject", "rejected", "no", "false"})

QUESTION = "Approve this draft, or say what to change?"
HINT = "I did not understand that answer. Send “approve”, or a sentence that says what to change."
NO_DRAFT = "The edited action has no draft. Send it with `args.draft`, or “approve”."
NO_FEEDBACK = "What should be different? Send a sentence that says what to change, or “approve”."

#: The action to decide about, in the terms of LangChain's human-in-the-loop middleware.
ACTION = "publish_report"

#: For clients that show a form; `read_answer` accepts other forms of answers too.
ANSWER_SCHEMA: dict[str, Any] = {
    "title": "Review",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "decisions": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": {
                                "type": "string",
                                "enum": ["approve", "edit", "reject"],
                                "title": "Decision",
                            },
                            "edited_action": {"type": "object", "title": "The draft as it should be"},
                            "message": {"type": "string", "title": "What to change"},
                        },
                        "required": ["type"],
                    },
                },
            },
            "required": ["decisions"],
        },
        {"type": "string", "description": "“approve”, or what to change"},
        {"type": "boolean", "description": "true approves"},
    ],
}


def request(*, draft: str, about: str, revision: int, hint: str = "") -> dict[str, Any]:
    """The interrupt's value, in the schema of LangChain's human-in-the-loop middleware.

    Args:
        hint: Why the reviewer is asked again.
    """
    arguments = {"draft": draft, "about": about, "revision": revision}
    return {
        "action_requests": [{"name": ACTION, "args": arguments, "description": hint or QUESTION}],
        "review_configs": [{"action_name": ACTION, "allowed_decisions": ["approve", "edit", "reject"]}],
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Approval, possibly of an edited draft; feedback for a revision; or a hint to ask again."""

    approved: bool = False
    feedback: str = ""
    hint: str = ""
    #: The draft as the person has changed it.
    draft: str = ""


def decision(word: Any) -> bool | None:
    """Whether a word or a boolean approves (True), rejects (False) or neither (None)."""
    if isinstance(word, bool):
        return word
    text = word.strip().rstrip(".!").lower() if isinstance(word, str) else ""
    return True if text in APPROVALS else False if text in REVISIONS else None


def read_answer(answer: Any) -> Verdict:
    """Parse a reviewer's answer.

    Only an explicit yes approves; an unclear answer leads to another interrupt.
    """
    if isinstance(answer, dict) and "decisions" in answer:
        return _read_decisions(answer["decisions"])
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


def _read_decisions(decisions: Any) -> Verdict:
    """Parse LangChain's form of an answer: one decision for the one action."""
    if not isinstance(decisions, list) or len(decisions) != 1 or not isinstance(decisions[0], dict):
        return Verdict(hint=HINT)
    decided = decisions[0]
    if decided.get("type") == "approve":
        return Verdict(approved=True)
    if decided.get("type") == "edit":
        action = decided.get("edited_action")
        arguments = action.get("args") if isinstance(action, dict) else None
        draft = arguments.get("draft") if isinstance(arguments, dict) else None
        edited = isinstance(draft, str) and draft.strip()
        return Verdict(approved=True, draft=str(draft)) if edited else Verdict(hint=NO_DRAFT)
    if decided.get("type") == "reject":
        message = decided.get("message")
        rejected = isinstance(message, str) and message.strip()
        return Verdict(feedback=str(message).strip()) if rejected else Verdict(hint=NO_FEEDBACK)
    return Verdict(hint=HINT)
