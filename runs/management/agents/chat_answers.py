"""An agent's questions in a terminal, and the answers to them. Pure, apart from the asking."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from runs.management.agents.printing.output import fitting

#: The most characters of an argument that are shown; a draft was streamed before.
LONGEST = 160
Ask = Callable[[str], Awaitable[str]]

#: The decisions of LangChain's human-in-the-loop middleware, by their first letter.
DECISIONS = {"a": "approve", "r": "reject", "e": "edit"}


def question_lines(value: Any) -> Iterator[str]:
    """A question as text."""
    for action in _actions(value):
        yield f"? {action.get('description') or action.get('name') or action.get('action')}"
        for name, each in (action.get("args") or action.get("arguments") or {}).items():
            yield f"  {name}: {fitting(each if isinstance(each, str) else json.dumps(each, default=str), width=LONGEST)}"
    if not _actions(value):
        yield f"? {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)}"


async def answer_to(value: Any, *, ask: Ask) -> Any:
    """The person's answer: a decision for each action that waits for one, else JSON, else text."""
    actions = _actions(value)
    if actions:
        return {"decisions": [await _decision(action, ask) for action in actions]}
    return parsed(await ask("answer> "))


def parsed(text: str) -> Any:
    """A typed answer: JSON if it is, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _actions(value: Any) -> list[dict[str, Any]]:
    found = value.get("action_requests") if isinstance(value, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


async def _decision(action: dict[str, Any], ask: Ask) -> dict[str, Any]:
    while True:
        typed = (await ask("approve, reject or edit? [a/r/e]> ")).strip().lower()
        kind = DECISIONS.get(typed[:1], "")
        if kind == "approve":
            return {"type": kind}
        if kind == "reject":
            message = await ask("why?> ")
            return {"type": kind, **({"message": message} if message else {})}
        if kind == "edit":
            args = parsed(await ask("arguments as JSON> "))
            if isinstance(args, dict):
                return {"type": kind, "edited_action": {"name": action.get("name"), "args": args}}
        if not typed:
            return {"type": "reject", "message": "Nobody answered."}
