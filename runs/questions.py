"""A thread's questions for code that settles a run without executing anything: a cancellation, a recovery."""

from __future__ import annotations

import logging
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs import graphs
from runs.conf import settings
from threads.checkpoints.questions import read_questions
from threads.models import Thread

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
