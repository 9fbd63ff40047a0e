"""Traces of runs: the site's callback handlers, and Langfuse and LangSmith by their environment variables."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from runs.execution.tracing import callbacks, langfuse, langsmith
from runs.execution.tracing.counts import Counts
from runs.execution.tracing.waiting import within
from runs.models import Run

__all__ = ["Counts", "counts", "flush", "handlers", "metadata", "prepare", "trace_url"]

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Import what the settings and the environment name, before the first run needs it. Logs what is wrong."""
    callbacks.prepare()
    langfuse.client()


def handlers(run: Run) -> list[Any]:
    """The callback handlers of an attempt. What cannot be made is logged, because a run must not fail of it."""
    found = callbacks.handlers(run)
    if (opened := langfuse.client()) is not None:
        found.append(opened.handler(run.id))
    return found


def metadata(run: Run) -> dict[str, Any]:
    """What Langfuse reads of a run's metadata; empty without Langfuse."""
    return langfuse.metadata(run) if langfuse.enabled() else {}


async def flush(seconds: float) -> None:
    """Send what waits to be sent, for at most so long."""
    waiting: list[tuple[str, Callable[[], bool]]] = []
    if (opened := langfuse.opened()) is not None:
        waiting.append(("Langfuse", partial(opened.flush, seconds)))
    if langsmith.enabled():
        waiting.append(("LangSmith", langsmith.flush))
    sent = await asyncio.gather(*(within(seconds, send) for _, send in waiting))
    for (name, _), done in zip(waiting, sent, strict=True):
        if not done:
            logger.warning("Some spans could not be sent to %s before the shutdown's end.", name)


def counts() -> Counts | None:
    """How many spans were sent, lost and dropped; None without Langfuse."""
    opened = langfuse.opened()
    return None if opened is None else opened.outbox.counts


def trace_url(run_id: UUID) -> str | None:
    """The page of a run's trace; None without Langfuse."""
    return f"{langfuse.base_url()}/trace/{run_id.hex}" if langfuse.enabled() else None
