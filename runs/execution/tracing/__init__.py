"""Traces of runs: the site's callback handlers, and Langfuse and LangSmith by their environment variables."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from runs.execution.tracing import callbacks, langfuse, langsmith
from runs.execution.tracing.counts import Counts
from runs.execution.tracing.waiting import within
from runs.models import Run, RunAction
from threads.db import clock
from threads.db.database import in_database

__all__ = ["Counts", "counts", "flush", "handlers", "metadata", "prepare", "trace_url"]

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Import what the settings and the environment name, before the first run needs it. Logs what is wrong."""
    callbacks.prepare()
    langfuse.client()


async def handlers(run: Run) -> list[Any]:
    """The callback handlers of an attempt, after a note where the run's trace is.

    What cannot be made or noted is logged, because a run must not fail of it.
    """
    found = callbacks.handlers(run)
    if (opened := langfuse.client()) is not None:
        found.append(opened.handler(run.id))
        if opened.keeps(run.id):
            try:
                await in_database(_note, run.id, f"{langfuse.base_url()}/trace/{run.id.hex}")
            except DatabaseError as error:
                logger.warning("Run %s: its page has no link to its trace: %s", run.id, error)
    return found


def _note(run_id: UUID, url: str) -> None:
    if trace_url(run_id) is None:
        RunAction.objects.create(
            run_id=run_id, kind=RunAction.TRACED, who="", origin="code", outcome="", detail={"url": url},
            created_at=clock.now(),
        )  # fmt: skip


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
    """The page of a run's trace in Langfuse; None if the process that executed the run sent none."""
    noted = RunAction.objects.filter(run_id=run_id, kind=RunAction.TRACED)
    detail = noted.values_list("detail", flat=True).first()
    return None if detail is None else str(detail["url"])
