"""A thread's questions, for code that executes nothing: a cancellation, a recovery, a reader of states."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any
from uuid import UUID

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs import graphs
from runs.conf import settings
from runs.models import Run
from runs.requests.answers import answered
from threads.models import Thread
from threads.state.interrupts import read_questions

logger = logging.getLogger(__name__)


def waiting_questions(thread: Thread) -> dict[str, Any]:
    """The questions that wait for an answer now, whatever the runs since the last settlement have consumed or asked.

    What cannot be read leaves the thread with the questions that it showed.
    """
    try:
        serde = JsonPlusSerializer(allowed_msgpack_modules=graphs.checkpoint_types())
        return read_questions(thread.id, file=settings.CHECKPOINTS_FILE, serde=serde)
    except Exception:
        logger.exception(
            "Thread %s: its questions could not be read; it keeps those that it showed.", thread.id
        )
        return dict(thread.interrupts)


def unanswered(thread_id: UUID, asked: Collection[str]) -> set[str]:
    """The interrupts, of those that a thread's checkpoints ask, which no run in flight answers.

    A checkpoint asks until the task that asked is done, which is after the run that answers has begun.
    """
    left = set(asked)
    if left:
        for kwargs in Run.objects.in_flight().filter(thread=thread_id).values_list("kwargs", flat=True):
            left -= answered(left, kwargs.get("command"))
    return left
