"""The waiting interrupts of a thread, read from its checkpoints without its graph."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection
from langgraph.checkpoint.serde.base import SerializerProtocol

from threads.state.read import interrupt_json
from threads.state.unanswered import Asked, waiting

#: The channel in which LangGraph keeps a task's interrupts (`langgraph._internal._constants.INTERRUPT`).
CHANNEL = "__interrupt__"
#: A namespace's newest checkpoint is its graph's current position; earlier ones have earlier interrupts.
QUERY = """
SELECT asked.checkpoint_ns, asked.checkpoint_id, task_id, task_path, type, {value}, EXISTS (
    SELECT 1 FROM {writes} done WHERE done.idx >= 0 AND (done.thread_id, done.checkpoint_ns, done.checkpoint_id,
        done.task_id) = (asked.thread_id, asked.checkpoint_ns, asked.checkpoint_id, asked.task_id)),
    asked.checkpoint_id = (SELECT max(newest.checkpoint_id) FROM checkpoints newest
        WHERE newest.thread_id = asked.thread_id AND newest.checkpoint_ns = asked.checkpoint_ns)
FROM {writes} asked WHERE thread_id = {place} AND channel = {place}
ORDER BY task_id, idx
"""
NAMESPACES = "SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE thread_id = {place}"
POSTGRES = {"value": "blob", "writes": "checkpoint_writes", "place": "%s"}
SQLITE = {"value": "value", "writes": "writes", "place": "?"}


def read_interrupts(
    thread_id: UUID, *, file: str | Path, serde: SerializerProtocol
) -> dict[str, list[dict[str, Any]]]:
    """Return the waiting interrupts, as a thread's row has them: {task id: [{"id", "value"}, …]}.

    Args:
        file: The checkpoints' file, if the database is SQLite.
    """
    rows, namespaces = asked_rows(thread_id, file=file)
    tasks, values = read_asked(rows, serde)
    found: dict[str, list[dict[str, Any]]] = {}
    for task, ids in waiting(tasks, namespaces).items():
        if task.namespace == "" and ids:
            found[task.task_id] = [interrupt_json(values[each]) for each in ids]
    return found


def asked_at(thread_id: UUID, checkpoint_id: str, *, file: str | Path, serde: SerializerProtocol) -> set[str]:
    """Return the ids of the interrupts that the tasks of a root checkpoint have asked, answered or not."""
    rows, _ = asked_rows(thread_id, file=file)
    _, values = read_asked((row for row in rows if tuple(row[:2]) == ("", checkpoint_id)), serde)
    return set(values)


def read_asked(
    rows: Iterable[tuple[Any, ...]], serde: SerializerProtocol
) -> tuple[list[Asked], dict[str, Any]]:
    """Return the tasks in rows of `QUERY`, and the interrupts by id."""
    tasks: list[Asked] = []
    interrupts: dict[str, Any] = {}
    for namespace, checkpoint_id, task_id, path, kind, blob, finished, newest in rows:
        found = serde.loads_typed((kind, bytes(blob)))
        asked = list(found) if isinstance(found, list | tuple) else [found]
        interrupts.update({each.id: each for each in asked})
        ids = tuple(each.id for each in asked)
        tasks.append(Asked(namespace, checkpoint_id, task_id, path, ids, bool(finished), bool(newest)))
    return tasks, interrupts


def asked_rows(thread_id: UUID, *, file: str | Path) -> tuple[list[Any], list[str]]:
    """Return the rows of `QUERY`, and the thread's namespaces that have a checkpoint."""
    thread, file = str(thread_id), Path(file)
    parameters = [thread, CHANNEL]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(QUERY.format(**POSTGRES), parameters)
            rows = cursor.fetchall()
            cursor.execute(NAMESPACES.format(**POSTGRES), [thread])
            return list(rows), [namespace for (namespace,) in cursor.fetchall()]
    if not file.exists():
        return [], []
    with closing(sqlite3.connect(file, timeout=30)) as db:
        rows = db.execute(QUERY.format(**SQLITE), parameters).fetchall()
        return rows, [namespace for (namespace,) in db.execute(NAMESPACES.format(**SQLITE), [thread])]
