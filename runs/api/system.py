"""The HTTP interface to the server itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from ninja import Router

from runs import runtime
from runs.api.errors import refusal
from runs.serialization import encode
from threads.database import in_database

router = Router(tags=["System"])

#: The version of LangGraph Server whose API this is; Studio refuses what looks too old.
API_VERSION = "0.16.7"


@router.get("/ok", auth=None, summary="Tell whether the server takes requests")
async def ok(request: HttpRequest, check_db: bool = False) -> HttpResponse:
    """503 while it shuts down, and, with `check_db`, when the database does not answer."""
    try:
        draining = runtime.current().draining
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


@router.get("/", auth=None, include_in_schema=False)
async def root(request: HttpRequest) -> HttpResponse:
    return await ok(request)


@router.get("/info", auth=None, summary="Tell what the server is and can do")
async def info(request: HttpRequest) -> dict[str, Any]:
    return {
        "version": API_VERSION,
        "langgraph_py_version": version("langgraph"),
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


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
