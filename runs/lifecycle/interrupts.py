"""A thread's interrupts, read without executing its graph: for cancellation, recovery and reads of
state.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs import graphs
from runs.conf import settings
from runs.encoding import decode, encode
from runs.models import Run
from runs.requests.answers import answered
from threads.models import Thread
from threads.models.querysets import Principal
from threads.state.interrupts import asked_at, read_interrupts

logger = logging.getLogger(__name__)


def waiting_interrupts(thread: Thread) -> dict[str, Any]:
    """The interrupts that wait for an answer now, read from the checkpoints. Runs since the last
    settlement may have used or added some.

    If they cannot be read, the thread keeps the interrupts that it showed.
    """
    try:
        found = read_interrupts(thread.id, file=settings.CHECKPOINTS_FILE, serde=_serde())
        # Their values may be any objects of a graph.
        interrupts: dict[str, Any] = decode(encode(found))
        return interrupts
    except Exception:
        logger.exception(
            "Thread %s: its interrupts could not be read; it keeps those that it showed.", thread.id
        )
        return dict(thread.interrupts)


def asked_at_checkpoint(thread_id: UUID, checkpoint: Mapping[str, Any]) -> set[str]:
    """The ids of the interrupts at a checkpoint of the thread's own graph that a client names; empty if
    it is a subgraph's, or if they cannot be read.
    """
    checkpoint_id = checkpoint.get("checkpoint_id")
    if not checkpoint_id or checkpoint.get("checkpoint_ns"):
        return set()
    try:
        return asked_at(thread_id, checkpoint_id, file=settings.CHECKPOINTS_FILE, serde=_serde())
    except Exception:
        logger.exception("Thread %s: the interrupts of a checkpoint could not be read.", thread_id)
        return set()


def _serde() -> JsonPlusSerializer:
    return JsonPlusSerializer(allowed_msgpack_modules=graphs.checkpoint_types())


def unanswered(thread_id: UUID, asked: Collection[str]) -> set[str]:
    """Of the interrupts in a thread's checkpoints, those that no run in flight answers.

    An interrupt stays in the checkpoint until its task is done, which is after the answering run
    has started.
    """
    left = set(asked)
    if left:
        for kwargs in Run.objects.in_flight().filter(thread=thread_id).values_list("kwargs", flat=True):
            left -= answered(left, kwargs.get("command"))
    return left


def waiting(thread_id: UUID, *, principal: Principal) -> tuple[str, set[str]] | None:
    """The assistant that ran last on a thread, and the ids of the unanswered interrupts."""
    owned = Thread.objects.for_principal(principal).visible()
    thread = owned.only("interrupts", "metadata").filter(id=thread_id).first()
    if thread is None:
        return None
    asked = {question["id"] for of_task in thread.interrupts.values() for question in of_task}
    return str(thread.metadata.get("assistant_id", "")), unanswered(thread.id, asked)
