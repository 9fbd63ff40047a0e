"""What a graph asks, in a sentence. Pure: no queries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: Where a question's value has its text.
ASKED = ("question", "title", "prompt", "message", "query")


def question_of(value: Any) -> str:
    """A question in words: its text, or the actions that it names; else its value as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for name in ASKED:
            if isinstance(value.get(name), str):
                return str(value[name])
    if actions := _actions(value):
        return f"May I run {', '.join(actions)}?"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _actions(value: Any) -> list[str]:
    """The actions to be decided about: of LangChain's schema, and of the older one of agent-inbox."""
    if isinstance(value, Mapping) and isinstance(value.get("action_requests"), list):
        requests = value["action_requests"]
    else:
        asked = value if isinstance(value, list) else [value]
        requests = [each.get("action_request") if isinstance(each, Mapping) else None for each in asked]
    names = [
        each.get("name") or each.get("action") if isinstance(each, Mapping) else None for each in requests
    ]
    return [str(name) for name in names] if all(names) else []
