"""Requests for threads' states while the checkpoints' database is unavailable."""

from __future__ import annotations

import sqlite3
from typing import Any

import httpx
import psycopg
import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph_sdk.client import LangGraphClient

from runs.process.current import current
from tests.runs.api.routes.test_states import ran

AWAY = (psycopg.errors.AdminShutdown("terminating connection"), sqlite3.OperationalError("disk I/O error"))


@pytest.mark.parametrize("error", AWAY, ids=["PostgreSQL", "SQLite"])
async def test_checkpoints_that_cannot_be_read_now_are_a_503(
    http: httpx.AsyncClient, sdk: LangGraphClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The error is the driver's, because checkpoints are not read through Django."""
    thread = await ran(sdk)
    path = f"/threads/{thread}/state"
    checkpoint = (await http.get(path)).json()["checkpoint"]

    async def fail(*_: Any, **__: Any) -> None:
        raise error

    for saver in (AsyncPostgresSaver, AsyncSqliteSaver):
        monkeypatch.setattr(saver, "aget_tuple", fail)
    monkeypatch.setattr(current().storage.commits, "retry_seconds", 0.1)
    for answer in (
        await http.get(path),
        await http.post(f"{path}/checkpoint", json={"checkpoint": checkpoint}),
        await http.post(path, json={"values": {"log": ["edit"]}}),
        await http.post(path, json={"values": {"log": ["edit"]}, "checkpoint": checkpoint}),
        await http.patch(path, json={"metadata": {"a": 1}}),
    ):
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1"), answer.text
        assert answer.json() == {"detail": "The database does not answer; try again."}
