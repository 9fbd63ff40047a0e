"""Headers that locate a run: `Content-Location` names it, `Location` is the URL to reconnect to."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest

from runs.requests.mount import prefix_of


def run_path(request: HttpRequest, run_id: UUID, thread_id: UUID | None) -> str:
    """The path of a run as clients reach it, including a prefix of the site."""
    thread = f"/threads/{thread_id}" if thread_id is not None else ""
    return f"{prefix_of(request)}{thread}/runs/{run_id}"


def contents(request: HttpRequest, run_id: UUID, thread_id: UUID | None) -> dict[str, str]:
    return {"Content-Location": run_path(request, run_id, thread_id)}


def locations(request: HttpRequest, run_id: UUID, thread_id: UUID | None, reconnect: str) -> dict[str, str]:
    """Both headers; `reconnect` is the last part of the URL to reconnect to: "stream" or "join"."""
    path = run_path(request, run_id, thread_id)
    return {"Location": f"{path}/{reconnect}", "Content-Location": path}
