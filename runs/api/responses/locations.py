"""Where clients find a run: `Content-Location` names it, `Location` is where they reconnect."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest


def run_path(request: HttpRequest, run_id: UUID, thread_id: UUID | None) -> str:
    """The path of a run as its clients reach it, also behind a prefix."""
    prefix = str(request.META.get("SCRIPT_NAME", "")).rstrip("/")
    thread = f"/threads/{thread_id}" if thread_id is not None else ""
    return f"{prefix}{thread}/runs/{run_id}"


def contents(request: HttpRequest, run_id: UUID, thread_id: UUID | None) -> dict[str, str]:
    return {"Content-Location": run_path(request, run_id, thread_id)}


def locations(request: HttpRequest, run_id: UUID, thread_id: UUID | None, reconnect: str) -> dict[str, str]:
    """Both headers; `reconnect` is what to append to the run's path: "stream" or "join"."""
    path = run_path(request, run_id, thread_id)
    return {"Location": f"{path}/{reconnect}", "Content-Location": path}
