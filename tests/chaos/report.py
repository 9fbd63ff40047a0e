"""The table at the end, and what is kept when something was wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.checks import Found
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import CREATED, Ledger
from tests.server.databases import Database

ENDS = (
    "success",
    "interrupted",
    "error",
    "timeout",
    "pending",
    "running",
    "rolled back",
    "refused",
    "unknown",
)
TABLES = ("runs_run", "runs_runevent", "runs_worker", "threads_thread")
#: What no server's log may say, however its database is treated.
ALARMS = re.compile(r"never retrieved|never awaited|Event loop is closed|PoolClosed|changed under its thread")


def table(
    found: Found, ledger: Ledger, fleet: Fleet, faults: Counter[str], violations: Sequence[str]
) -> list[str]:
    """The lines of the table."""
    kinds = endings(found, ledger)
    ends = [end for end in ENDS if any(counts[end] for counts in kinds.values())]
    lines = [f"{'runs':<18}" + "".join(f"{end:>13}" for end in ends)]
    for kind, counts in sorted(kinds.items()):
        lines.append(f"{kind:<18}" + "".join(f"{counts[end] or '':>13}" for end in ends))
    total = sum(kinds.values(), Counter[str]())
    lines.append(f"{'all':<18}" + "".join(f"{total[end]:>13}" for end in ends))
    took = recoveries(fleet.lost, found)
    events = sum(len(reading.ids) for reading in ledger.readings)
    reconnects = sum(reading.connections - 1 for reading in ledger.readings)
    lines += [
        "",
        "faults       " + ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items())),
        f"processes    {fleet.starts} started",
        f"attempts     {sum(run['attempt'] for run in found.runs)}, of which "
        f"{sum(run['lost_attempts'] for run in found.runs)} were lost",
        f"went on      {len(took)} runs after the kill of their process: "
        f"p50 {quantile(took, 0.5):.2f} s, p95 {quantile(took, 0.95):.2f} s, max {quantile(took, 1):.2f} s",
        f"read         {events} events by {len(ledger.readings)} readers, who reconnected {reconnects} times",
        "clients      " + ", ".join(f"{count} {name}" for name, count in sorted(ledger.counts.items())),
        f"violations   {len(violations)}",
    ]
    return lines


def recoveries(lost: Sequence[tuple[str, int, float]], found: Found) -> list[float]:
    """How long after its process was killed each run went on, in seconds; without those that ended otherwise."""
    took: list[float] = []
    for run_id, attempt, when in lost:
        began = [
            row["created_at"].timestamp()
            for row in found.events.get(run_id, [])
            if row["event"] == "metadata" and json.loads(row["data"])["attempt"] > attempt
        ]
        if began:
            took.append(max(0.0, min(began) - when))
    return sorted(took)


def endings(found: Found, ledger: Ledger) -> dict[str, Counter[str]]:
    """How the runs of each kind of story ended."""
    status = {run["metadata"]["key"]: run["status"] for run in found.runs}
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for story in ledger.stories:
        for creation in story.creations:
            end = status.get(creation.key) or ("rolled back" if creation.state == CREATED else creation.state)
            table[story.kind][end] += 1
    return table


def quantile(values: Sequence[float], share: float) -> float:
    """A quantile of sorted values; NaN of none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def alarms(fleet: Fleet) -> list[str]:
    return [
        f"{process.log.name}: {line}"
        for process in fleet.site.processes
        for line in process.output.splitlines()
        if ALARMS.search(line)
    ]


def keep(folder: Path, database: Database, ledger: Ledger, violations: Sequence[str]) -> None:
    """Write what happened beside the processes' logs."""
    (folder / "violations").write_text("".join(f"{each}\n" for each in violations))
    dump: dict[str, Any] = {name: database.rows(f"SELECT * FROM {name}") for name in TABLES}
    dump["checkpoints"] = database.checkpoints()
    (folder / "database.json").write_text(json.dumps(dump, default=str, indent=1))
    known = {"stories": ledger.stories, "readings": ledger.readings}
    known_json = json.dumps(
        {name: [dataclasses.asdict(each) for each in listed] for name, listed in known.items()}, indent=1
    )
    (folder / "clients.json").write_text(known_json)
