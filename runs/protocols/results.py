"""What `wait` and `join` answer (wire protocol §2.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What `wait` and `join` answer for a run that is not there.
GONE = {"__error__": {"error": "HTTPException", "message": "404: Run not found"}}


def with_interrupts(values: Any, interrupts: Mapping[str, Any]) -> Any:
    """A thread's values, with the interrupts that wait for an answer."""
    questions = [question for asked in interrupts.values() for question in asked]
    if not questions:
        return values
    # The values of a function (`@entrypoint`) need not be an object, and there are none while it waits.
    return {**(values if isinstance(values, dict) else {}), "__interrupt__": questions}
