"""A thread's present state, adjusted for runs in flight: checkpoints change only after a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langgraph.constants import START

from runs.lifecycle.interrupts import unanswered
from runs.models import Run
from threads.state.read import asking


def presently(thread_id: UUID, state: Mapping[str, Any], *, root: bool) -> dict[str, Any]:
    """A thread's present state, without interrupts that a run is answering, and with a next step.

    Chat pages regard a thread whose state has no next step as idle, and follow no run there.
    While a run is in flight, the next step is therefore `__start__`, LangGraph's name for unread
    input.

    Args:
        state: From the checkpoints. It must be read before this call: a run that has ended since
            may have raised an interrupt again.
        root: Whether this is the state of the thread itself, not of a subgraph.
    """
    asked = {each["id"] for each in state["interrupts"]}
    shown = asking(state, unanswered(thread_id, asked)) if asked else dict(state)
    if root and not shown["next"] and Run.objects.in_flight().filter(thread=thread_id).exists():
        shown["next"] = [START]
    return shown
