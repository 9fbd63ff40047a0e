"""One picture of everything that the machine's rules may change, by plain SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row

from threads.checkpoints.postgres.storage import connection_string

Row = dict[str, Any]
#: (epoch, seq, name, data)
Event = tuple[int, int, str, str]

RUNS = "SELECT * FROM runs_run ORDER BY id"
THREADS = "SELECT * FROM threads_thread ORDER BY id"
# Those of deleted runs, which nobody can read, are removed in steps.
EVENTS = """SELECT run_id, epoch, seq, event, data FROM runs_runevent
    WHERE run_id NOT IN (SELECT run_id FROM runs_deletedrun) ORDER BY run_id, epoch, seq"""
WORKERS = "SELECT * FROM runs_worker ORDER BY id"
CHECKPOINTS = {
    "postgresql": """SELECT thread_id, checkpoint_id AS id, parent_checkpoint_id AS parent,
        checkpoint -> 'channel_values' ->> 'log' AS log, metadata
        FROM checkpoints ORDER BY thread_id, checkpoint_id""",
    "sqlite": """SELECT thread_id, checkpoint_id AS id, parent_checkpoint_id AS parent, type, checkpoint, metadata
        FROM checkpoints ORDER BY thread_id, checkpoint_id""",
}
WRITES = {
    "postgresql": "SELECT thread_id, checkpoint_id, task_id, idx, channel, type, blob FROM checkpoint_writes ORDER BY 1, 2, 3, 4",
    "sqlite": "SELECT thread_id, checkpoint_id, task_id, idx, channel, type, value AS blob FROM writes ORDER BY 1, 2, 3, 4",
}
IDS = ("id", "thread_id", "run_id", "worker_id")


@dataclass(frozen=True)
class Sight:
    """A snapshot of the database.

    Ids are hexadecimal without hyphens; checkpoints' ids are unchanged.
    """

    runs: dict[str, Row]
    threads: dict[str, Row]
    events: dict[str, list[Event]]
    workers: dict[str, Row]
    #: Of each thread, oldest first: id, parent, log, run_id, attempt, source.
    checkpoints: dict[str, list[Row]]
    #: Of each checkpoint's id: (task id, idx, channel, type, blob).
    writes: dict[str, list[tuple[Any, ...]]]

    def head(self, thread_id: str) -> Row | None:
        """The newest checkpoint of a thread."""
        found = self.checkpoints.get(thread_id)
        return found[-1] if found else None

    def log(self, thread_id: str) -> list[str]:
        """The log in a thread's state."""
        head = self.head(thread_id)
        return head["log"].split() if head else []

    def head_writes(self, thread_id: str) -> list[tuple[Any, ...]]:
        head = self.head(thread_id)
        return self.writes.get(head["id"], []) if head else []

    def in_flight(self, thread_id: str) -> list[Row]:
        """A thread's pending and running runs, in execution order."""
        found = [
            run
            for run in self.runs.values()
            if run["thread_id"] == thread_id and run["status"] in ("pending", "running")
        ]
        return sorted(found, key=lambda run: (run["status"] != "running", run["due_at"], run["id"]))

    def questions(self, thread_id: str) -> list[tuple[str, str]]:
        """(interrupt id, value) of the interrupts that a thread shows."""
        asked = self.threads[thread_id]["interrupts"]
        return [(each["id"], each["value"]["question"]) for found in asked.values() for each in found]


class Eyes:
    """Reads the database through separate connections."""

    def __init__(self, checkpoints_file: str, serde: JsonPlusSerializer) -> None:
        self._serde = serde
        self._logs: dict[str, str] = {}
        self._postgres: psycopg.Connection[Row] | None = None
        if connection.vendor == "postgresql":
            self._postgres = psycopg.connect(
                connection_string(), autocommit=True, row_factory=dict_row, prepare_threshold=0
            )
        else:
            self._main = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
            self._saved = sqlite3.connect(checkpoints_file, isolation_level=None)

    def close(self) -> None:
        for each in (self._postgres,) if self._postgres else (self._main, self._saved):
            each.close()

    def execute(self, query: str, *values: Any) -> None:
        """Change the database in ways that no product code does: move its clock, or empty it."""
        if self._postgres is not None:
            self._postgres.execute(query, values)
        elif "checkpoint" in query or " writes" in query:
            self._saved.execute(query, values)
        else:
            self._main.execute(query.replace("%s", "?"), values)

    def ask(self, query: str, *values: Any) -> list[Row]:
        """Execute another query on PostgreSQL."""
        assert self._postgres is not None
        return self._postgres.execute(query, values).fetchall()

    def look(self) -> Sight:
        vendor = connection.vendor
        queries = (RUNS, THREADS, EVENTS, WORKERS, CHECKPOINTS[vendor], WRITES[vendor])
        runs, threads, log, workers, checkpoints, writes = self._fetch(queries)
        events: dict[str, list[Event]] = {}
        for row in log:
            events.setdefault(row["run_id"], []).append((row["epoch"], row["seq"], row["event"], row["data"]))
        history: dict[str, list[Row]] = {}
        for row in checkpoints:
            history.setdefault(row["thread_id"], []).append(self._checkpoint(row))
        pending: dict[str, list[tuple[Any, ...]]] = {}
        for row in writes:
            where = row["checkpoint_id"]
            pending.setdefault(where, []).append(
                (row["task_id"], row["idx"], row["channel"], row["type"], bytes(row["blob"]))
            )
        for row in threads:
            row["interrupts"] = json.loads(row["interrupts"])
        return Sight(_by_id(runs), _by_id(threads), events, _by_id(workers), history, pending)

    def _fetch(self, queries: Sequence[str]) -> list[list[Row]]:
        if self._postgres is not None:
            with self._postgres.pipeline():
                cursors = [self._postgres.execute(query) for query in queries]
                found = [cursor.fetchall() for cursor in cursors]
        else:
            found = []
            for query in queries:
                db = self._saved if "checkpoint" in query else self._main
                cursor = db.execute(query)
                names = [column[0] for column in cursor.description]
                found.append([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
        return [[_with_hex_ids(row) for row in rows] for rows in found]

    def _checkpoint(self, row: Row) -> Row:
        metadata, log = row["metadata"], row.get("log")
        if not isinstance(metadata, dict):
            metadata = json.loads(metadata)
            if row["id"] not in self._logs:
                saved = self._serde.loads_typed((row["type"], row["checkpoint"]))
                self._logs[row["id"]] = saved["channel_values"].get("log", "")
            log = self._logs[row["id"]]
        return {
            "id": row["id"],
            "parent": row["parent"],
            "log": log or "",
            "run_id": metadata["run_id"].replace("-", ""),
            "attempt": metadata["run_attempt"],
            "source": metadata["source"],
        }


def _with_hex_ids(row: Row) -> Row:
    for name in IDS:
        value = row.get(name)
        if isinstance(value, UUID):
            row[name] = value.hex
        elif name == "thread_id" and isinstance(value, str):
            row[name] = value.replace("-", "")
    return row


def _by_id(rows: Sequence[Row]) -> dict[str, Row]:
    return {row["id"]: row for row in rows}
