"""All messages of a run's last state, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runs.admin.run_page import reading
from runs.models import Run
from threads.redaction import redacted

#: The most messages that are shown, the newest ones.
MOST = 200


def transcript(run: Run) -> dict[str, Any]:
    """The last messages that the run's state had, as JSON, and how many came before them.

    A thread's state has the messages of its earlier runs too.
    """
    found = messages_in(reading.last_state(run.id))
    return {"messages": redacted(found[-MOST:]), "before": max(0, len(found) - MOST)}


def messages_in(state: Any) -> list[Any]:
    """The messages in the lists of a state, one list after the other. Pure."""
    lists = state.values() if isinstance(state, Mapping) else ()
    return [message for each in lists if isinstance(each, list) for message in each if _is_message(message)]


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("type"), str) and "content" in value
