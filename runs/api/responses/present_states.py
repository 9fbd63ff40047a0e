"""What a thread's runs in flight make of its present state, which its checkpoints tell only once a step is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langgraph.constants import START

from runs.lifecycle.interrupts import unanswered
from runs.models import Run
from threads.state.read import asking


def presently(thread_id: UUID, state: Mapping[str, Any], *, root: bool) -> dict[str, Any]:
    """A thread's present state, without what is being answered, and with the step of a run that has not begun.

    Pages take a state without a next step for that of a thread where nothing happens, and follow no run there. LangGraph
    names `__start__` as the next step where input waits to be taken in.

    Args:
        state: As the checkpoints have it. It was read before: what runs have ended since may have asked again.
        root: Whether it is that of the thread itself, not of a subgraph.
    """
    asked = {each["id"] for each in state["interrupts"]}
    shown = asking(state, unanswered(thread_id, asked)) if asked else dict(state)
    if root and not shown["next"] and Run.objects.in_flight().filter(thread=thread_id).exists():
        shown["next"] = [START]
    return shown
