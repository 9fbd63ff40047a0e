"""The contents of the database and of the trace of executions at the end."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tests.processes.databases import Row

STORED = ("checkpoints", "checkpoint_writes", "checkpoint_blobs")


@dataclass(frozen=True)
class Found:
    """The contents of the database and of the trace of executions at the end."""

    runs: Sequence[Row]
    threads: dict[str, Row]
    #: By run, in order.
    events: dict[str, list[Row]]
    checkpoints: Sequence[Row]
    #: (attempt, step) in the order of their starts, by run.
    executed: dict[str, list[tuple[int, str]]]
    #: Threads with rows in any checkpoint table.
    stored: frozenset[str] = frozenset()


def gather(rows: Callable[[str], list[Row]], checkpoints: Sequence[Row], trace: Iterable[str]) -> Found:
    runs = rows("SELECT * FROM runs_run ORDER BY due_at, id")
    # Those of deleted runs are removed in steps, which a process may not have lived to do.
    kept = "run_id NOT IN (SELECT run_id FROM runs_deletedrun)"
    events = rows(f"SELECT * FROM runs_runevent WHERE {kept} ORDER BY run_id, epoch, seq")
    executed: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line in trace:
        run_id, attempt, name = line.split()
        executed[run_id].append((int(attempt), name))
    return Found(
        runs=[run | {"metadata": decoded(run["metadata"])} for run in runs],
        threads={
            row["id"]: row | {"values": decoded(row["values"]), "metadata": decoded(row["metadata"])}
            for row in rows("SELECT * FROM threads_thread")
        },
        events={run_id: list(each) for run_id, each in groupby(events, key=lambda row: row["run_id"])},
        checkpoints=checkpoints,
        executed=executed,
        stored=frozenset(
            str(row["thread_id"])
            for table in STORED
            for row in rows(f"SELECT DISTINCT thread_id FROM {table}")
        ),
    )


def decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
