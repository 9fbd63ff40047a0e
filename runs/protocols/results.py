"""The results of `wait` and `join` (wire protocol §2.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The result of `wait` and `join` for a missing run.
GONE = {"__error__": {"error": "HTTPException", "message": "404: Run not found"}}


def with_interrupts(values: Any, interrupts: Mapping[str, Any]) -> Any:
    """A thread's values, with its unanswered interrupts."""
    questions = [question for asked in interrupts.values() for question in asked]
    if not questions:
        return values
    # The values of a function (`@entrypoint`) may be no object, and are missing while it is interrupted.
    return {**(values if isinstance(values, dict) else {}), "__interrupt__": questions}
