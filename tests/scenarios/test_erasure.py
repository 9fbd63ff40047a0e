"""Deletions leave nothing behind in any table or checkpoint (durability §3.2)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db import connection

from runs.conf import settings
from runs.deletion import in_turns
from runs.models import Run, WebhookDelivery
from runs.retention.expired_threads import trim
from tests.support.api import http, logged_in, url
from tests.support.retention import pruning
from threads.db.database import in_database
from threads.models import StateEdit, Thread

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

WORD = "canary-7d1e"
RUN: dict[str, Any] = {"assistant_id": "steps", "input": {"log": [WORD]}}
HOOK = "https://hooks.example.com/"


def everything() -> list[tuple[str, str]]:
    """Every row of every table, with the table's name."""
    with connection.cursor() as cursor:
        rows = [
            (table, str(row))
            for table in connection.introspection.table_names(cursor)
            for row in _rows(cursor, table)
        ]
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(settings.CHECKPOINTS_FILE)) as file:
            rows += [(table, str(row)) for table in ("checkpoints", "writes") for row in _rows(file, table)]
    return rows


def _rows(database: Any, table: str) -> list[Any]:
    text = (
        f'SELECT t.* FROM "{table}" t'
        if connection.vendor == "sqlite"
        else f'SELECT t::text FROM "{table}" t'
    )
    return list((database.execute(text) or database).fetchall())


def left_of(*words: str) -> set[str]:
    """The tables that still contain one of these words."""
    words += tuple(word.replace("-", "") for word in words if word.count("-") == 4)
    return {table for table, row in everything() if any(word in row for word in words)}


async def lived_on(http: httpx.AsyncClient, user: str) -> tuple[str, list[str]]:
    """A thread with all kinds of data, and the ids of its runs."""
    cookies = await in_database(logged_in, user)
    http.cookies.update(cookies)
    http.headers["X-CSRFToken"] = cookies[django_settings.CSRF_COOKIE_NAME]
    thread = (await http.post("/threads", json={"metadata": {"about": WORD}})).json()["thread_id"]
    body = {**RUN, "webhook": HOOK, "metadata": {"about": WORD}}
    await http.post(f"/threads/{thread}/runs/wait", json=body)
    edit = {"values": {"log": [WORD]}, "as_node": "s0"}
    assert (await http.post(f"/threads/{thread}/state", json=edit)).status_code == 200
    cron = {**RUN, "schedule": "0 0 1 1 *"}
    assert (await http.post(f"/threads/{thread}/runs/crons", json=cron)).status_code == 200
    await http.post(f"/threads/{thread}/runs", json={**RUN, "assistant_id": "sleeping", "webhook": HOOK})
    runs = (await http.get(f"/threads/{thread}/runs")).json()
    return thread, [run["run_id"] for run in runs]


async def test_a_deleted_thread_leaves_nothing(http: httpx.AsyncClient) -> None:
    thread, runs = await lived_on(http, "ada")
    before = await in_database(left_of, thread, *runs, WORD)
    assert before >= {
        "threads_thread", "threads_stateedit", "runs_run", "runs_runevent", "runs_cron", "checkpoints",
        WebhookDelivery._meta.db_table,
    }  # fmt: skip
    copy = (await http.post(f"/threads/{thread}/copy")).json()["thread_id"]
    assert (await http.delete(f"/threads/{thread}")).status_code == 204
    # The copy is a separate thread and is deleted separately; its checkpoints name the runs that created
    # them.
    assert not await in_database(left_of, thread)
    assert await in_database(left_of, *runs) <= {"checkpoints"}
    assert (await http.get(f"/threads/{copy}/state")).json()["values"]["log"]
    assert (await http.delete(f"/threads/{copy}")).status_code == 204
    assert not await in_database(left_of, thread, copy, *runs, WORD)


async def test_a_deleted_user_leaves_nothing(http: httpx.AsyncClient) -> None:
    thread, runs = await lived_on(http, "ada")
    await http.put("/store/items", json={"namespace": ["notes"], "key": "k", "value": {"about": WORD}})
    await http.post("/assistants", json={"graph_id": "steps", "metadata": {"about": WORD}})
    copy = (await http.post(f"/threads/{thread}/copy")).json()["thread_id"]
    await http.post("/runs/cancel", json={"status": "all"})
    deleted, _ = await in_database(get_user_model().objects.filter(username="ada").delete)
    assert deleted
    assert not await in_database(left_of, thread, copy, *runs, WORD)
    assert not await in_database(Run.objects.exists)


async def test_a_thread_that_is_shortened_keeps_its_last_edit(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={"metadata": {"graph_id": "steps"}})).json()["thread_id"]
    for _ in range(3):
        edit = {"values": {"log": ["x"]}, "as_node": "s0"}
        assert (await http.post(f"/threads/{thread}/state", json=edit)).status_code == 200
    newest = await in_database(
        lambda: StateEdit.objects.order_by("-epoch").values_list("epoch", flat=True)[0]
    )
    steps = trim(Thread.objects.filter(id=thread).locked(), await in_database(pruning), rows=1000)
    await in_turns(steps)
    assert await in_database(list, StateEdit.objects.values_list("epoch", flat=True)) == [newest]
    assert (await http.get(f"/threads/{thread}/state")).json()["values"]["log"] == ["x"] * 3
