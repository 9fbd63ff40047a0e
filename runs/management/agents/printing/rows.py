"""Runs, threads and workers as the commands print them."""

from __future__ import annotations

from typing import Any

from runs.serializers import run_json
from threads.db import clock
from threads.models import Thread
from threads.redaction import redacted

#: Large columns of a run, which lists do not show.
LARGE = ("kwargs", "metadata", "base", "auth_details", "assistant__config", "assistant__context",
    "assistant__metadata", "thread__values", "thread__config", "thread__metadata")  # fmt: skip


def run_row(run: Any) -> dict[str, Any]:
    """A run of `loaded`, without its payloads."""
    return {
        "run_id": str(run.id),
        "status": run.status,
        "waits_for_answer": run.waits,
        "thread_id": str(run.thread_id),
        "assistant": run.assistant.name,
        "graph_id": run.assistant.graph_id,
        "user": run.user.get_username(),
        "queue": run.queue,
        "priority": run.priority,
        "attempt": run.attempt,
        "lost_attempts": run.lost_attempts,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "queue_wait_s": _seconds(run.due_at, run.started_at or run.finished_at),
        "duration_s": _seconds(run.started_at, run.finished_at),
        "worker": str(run.worker) if run.worker else None,
        "cancel_action": run.cancel_action or None,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "error": run.error,
    }


def run_details(run: Any) -> dict[str, Any]:
    """A run of `loaded` with its request, without secrets."""
    return {**run_row(run), "metadata": redacted(run.metadata), "kwargs": run_json(run, ["kwargs"])["kwargs"]}


def thread_row(thread: Thread) -> dict[str, Any]:
    """A thread without its state; its `user` is loaded."""
    return {
        "thread_id": str(thread.id),
        "status": thread.status,
        "graph_id": thread.metadata.get("graph_id"),
        "user": thread.user.get_username(),
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "expires_at": thread.expires_at,
        "error": thread.error,
    }


def thread_details(thread: Thread) -> dict[str, Any]:
    """A thread with its values and questions, without secrets."""
    payloads = {
        "interrupts": [each for asked in thread.interrupts.values() for each in asked],
        "metadata": thread.metadata,
        "config": thread.config,
        "values": thread.values,
    }
    return {**thread_row(thread), **redacted(payloads)}


def worker_row(worker: Any) -> dict[str, Any]:
    """A worker; its runs are counted as `executing`."""
    return {
        "worker_id": str(worker.id),
        "state": worker.state,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "executing": worker.executing,
        "concurrency": worker.concurrency,
        "queues": worker.queues,
        "started_at": worker.started_at,
        "heartbeat_at": worker.heartbeat_at,
        "stopped_at": worker.stopped_at,
    }


def _seconds(start: Any, end: Any) -> float | None:
    return None if start is None else round(((end or clock.now()) - start).total_seconds(), 3)
