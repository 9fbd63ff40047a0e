"""The questions that a thread's checkpoints ask, read without the graph that asks them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection
from langgraph.checkpoint.serde.base import SerializerProtocol

#: The channel in which LangGraph keeps a task's questions (`langgraph._internal._constants.INTERRUPT`).
CHANNEL = "__interrupt__"
#: The root namespace's newest checkpoint is where a thread stands; a subgraph's question is its parent's task's too.
QUERY = """
SELECT task_id, type, {value} FROM {writes} asked
WHERE thread_id = {place} AND checkpoint_ns = '' AND channel = {place} AND checkpoint_id = (
    SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = {place} AND checkpoint_ns = '')
    AND NOT EXISTS (SELECT 1 FROM {writes} done WHERE done.idx >= 0 AND (done.thread_id, done.checkpoint_ns,
        done.checkpoint_id, done.task_id) = (asked.thread_id, asked.checkpoint_ns, asked.checkpoint_id, asked.task_id))
ORDER BY task_id, idx
"""
POSTGRES = QUERY.format(value="blob", writes="checkpoint_writes", place="%s")
SQLITE = QUERY.format(value="value", writes="writes", place="?")


def read_questions(
    thread_id: UUID, *, file: str | Path, serde: SerializerProtocol
) -> dict[str, list[dict[str, Any]]]:
    """Return what waits for an answer: {task id: [{"id", "value"}, …]}, as a thread's `interrupts`.

    Args:
        file: The checkpoints' file, if the database is SQLite.
    """
    values = [str(thread_id), CHANNEL, str(thread_id)]
    asked: dict[str, list[dict[str, Any]]] = {}
    for task_id, kind, blob in _rows(values, Path(file)):
        found = serde.loads_typed((kind, bytes(blob)))
        for question in found if isinstance(found, list | tuple) else [found]:
            asked.setdefault(task_id, []).append({"id": question.id, "value": question.value})
    return asked


def _rows(values: list[str], file: Path) -> list[Any]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(POSTGRES, values)
            return list(cursor.fetchall())
    if not file.exists():
        return []
    with closing(sqlite3.connect(file, timeout=30)) as db:
        return db.execute(SQLITE, values).fetchall()
