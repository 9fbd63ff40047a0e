"""The HTTP interface to the server itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Literal

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from ninja import Router

from runs.api.responses.errors import refusal
from runs.encoding import encode
from runs.process.current import current
from runs.process.metrics import Family, exposition, gauge, loop_lag, requests
from runs.process.queue_state import QueueState, queue_state
from runs.version import NAME, VERSION
from threads.db.database import in_database

logger = logging.getLogger(__name__)
router = Router(tags=["System"])

#: The version of LangGraph Server that this API follows. Studio refuses old versions.
API_VERSION = "0.16.7"
#: The help texts of the times in `QueueState`.
WAITS = {
    "pending_runs_wait_time_max_secs": "Longest wait of a due run.",
    "pending_runs_wait_time_med_secs": "Median wait of the due runs.",
    "pending_unblocked_runs_wait_time_max_secs": "Longest wait of a due run whose thread is free.",
}


@router.get("/ok", auth=None, summary="Check whether the server takes requests")
async def ok(request: HttpRequest, check_db: bool = False) -> HttpResponse:
    """The status is 503 during a shutdown; with `check_db` also if the database does not answer."""
    try:
        draining = current().draining
    except RuntimeError:
        return refusal(503, "The server is not ready.")
    if draining:
        return refusal(503, "The server is shutting down.")
    if check_db:
        try:
            await in_database(_ask_database)
        except DatabaseError as error:
            return refusal(503, f"The database does not answer: {type(error).__name__}.")
    return HttpResponse(encode({"ok": True, "services": {}}), content_type="application/json")


@router.get("/", auth=None, summary="The same as `/ok`; browsers are redirected to `/chat/`")
async def root(request: HttpRequest) -> HttpResponse:
    if "text/html" in request.headers.get("Accept", ""):
        # Relative, because a proxy may serve the site below a path.
        return HttpResponseRedirect("chat/")
    return await ok(request)


@router.get("/info", auth=None, summary="Get the server's version and capabilities")
async def info(request: HttpRequest) -> dict[str, Any]:
    return {
        "version": API_VERSION,
        "langgraph_py_version": version("langgraph"),
        "server": {"name": NAME, "version": VERSION},
        "flags": {
            "assistants": True,
            "crons": True,
            "langsmith": False,
            "langsmith_tracing_replicas": False,
            "langsmith_tracing_session_on_runs": False,
        },
        "host": {
            "kind": "self-hosted",
            "project_id": None,
            "host_revision_id": None,
            "revision_id": None,
            "tenant_id": None,
        },
    }


@router.get("/metrics", auth=None, summary="Get the server's metrics")
async def metrics(request: HttpRequest, format: Literal["prometheus", "json"] = "prometheus") -> HttpResponse:
    """In Prometheus' format or as JSON.

    Requests and the event loop are measured per process, the queue for all.
    """
    try:
        queue = await in_database(queue_state)
    except DatabaseError as error:
        # The metrics of this process are still useful, more so during an outage.
        logger.warning("The queue could not be read: %s", error)
        queue = None
    if format == "json":
        shown = _metrics_json(queue)
        return HttpResponse(encode(shown), content_type="application/json")
    return HttpResponse(exposition(_families(queue)), content_type="text/plain; version=0.0.4; charset=utf-8")


def _slots() -> tuple[int, int]:
    """The maximum and the current number of runs that this process executes."""
    try:
        manager = current().manager
    except RuntimeError:
        manager = None
    return (manager.concurrency, len(manager.active)) if manager is not None else (0, 0)


def _metrics_json(queue: QueueState | None) -> dict[str, Any]:
    most, active = _slots()
    return {
        "queue": queue.as_json() if queue is not None else None,
        "api": {
            "http_requests_total": [
                {"method": method, "path": path, "status": status, "count": count}
                for (method, path, status), count in sorted(requests.totals.items())
            ],
            "http_requests_latency_seconds": [
                {"method": method, "path": path, "sum": latency.total, "buckets": dict(latency.cumulative())}
                for (method, path), latency in sorted(requests.latencies.items())
            ],
        },
        "workers": {"max": most, "active": active, "available": most - active},
    }


def _families(queue: QueueState | None) -> Iterator[Family]:
    most, active = _slots()
    yield gauge("runs_database_up", "Whether the database answers.", queue is not None)
    if queue is not None:
        yield gauge("runs_pending", "Runs that wait.", queue.n_pending)
        yield gauge("runs_running", "Runs that all processes are executing.", queue.n_running)
        yield gauge("runs_live_workers", "Processes that execute runs.", queue.n_workers)
        for which, meaning in WAITS.items():
            waited = getattr(queue, which)
            yield gauge(which.replace("_secs", "_seconds"), meaning, waited or 0.0)
    yield gauge("runs_slots", "Runs that this process may execute at once.", most)
    yield gauge("runs_slots_used", "Runs that this process is executing.", active)
    yield from _thread_families()
    yield gauge("event_loop_lag_seconds", "Last measured delay of the event loop.", loop_lag.last)
    yield gauge(
        "event_loop_lag_longest_seconds", "Longest measured delay of the event loop.", loop_lag.longest
    )
    yield from requests.families()


def _thread_families() -> Iterator[Family]:
    """The threads of synchronous nodes."""
    try:
        nodes = current().nodes
    except RuntimeError:
        return
    yield gauge("node_threads_busy", "Threads that execute synchronous nodes.", nodes.busy)
    meaning = "Those of them that do not end although their run was cancelled."
    yield gauge("node_threads_abandoned", meaning, nodes.abandoned)
    yield gauge("node_calls_waiting", "Synchronous calls that wait for a thread.", nodes.waiting)


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
