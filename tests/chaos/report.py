"""The table at the end, and the files that are kept after violations."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.fleet import Fleet
from tests.chaos.found import Found
from tests.chaos.ledger import CREATED, Ledger
from tests.chaos.monkey import Monkey
from tests.chaos.recoveries import recoveries
from tests.processes.databases import Database

ENDS = (
    "success",
    "interrupted",
    "error",
    "timeout",
    "pending",
    "running",
    "rolled back",
    "deleted",
    "refused",
    "unknown",
)
#: How many of the slowest recoveries are shown, with the faults meanwhile.
SLOWEST = 3
TABLES = ("runs_run", "runs_runevent", "runs_worker", "threads_thread")
#: Messages that no server's log may contain, under any fault.
ALARMS = re.compile(
    r"never retrieved|never awaited|Event loop is closed|PoolClosed|changed under its thread|"
    r"Exception in callback|Unhandled error in Deferred|destroyed but it is pending|Internal Server Error"
)


def table(found: Found, ledger: Ledger, fleet: Fleet, monkey: Monkey, violations: Sequence[str]) -> list[str]:
    """The lines of the table."""
    kinds = endings(found, ledger)
    ends = [end for end in ENDS if any(counts[end] for counts in kinds.values())]
    lines = [f"{'runs':<18}" + "".join(f"{end:>13}" for end in ends)]
    for kind, counts in sorted(kinds.items()):
        lines.append(f"{kind:<18}" + "".join(f"{counts[end] or '':>13}" for end in ends))
    total = sum(kinds.values(), Counter[str]())
    lines.append(f"{'all':<18}" + "".join(f"{total[end]:>13}" for end in ends))
    events = sum(len(reading.ids) for reading in ledger.readings)
    reconnects = sum(reading.connections - 1 for reading in ledger.readings)
    lines += [
        "",
        "faults       " + ", ".join(f"{kind} {count}" for kind, count in sorted(monkey.counts.items())),
        f"processes    {fleet.starts} started",
        f"attempts     {sum(run['attempt'] for run in found.runs)}, of which "
        f"{sum(run['lost_attempts'] for run in found.runs)} were lost",
        *gone_on(fleet, found, monkey.history),
        f"read         {events} events by {len(ledger.readings)} readers, who reconnected {reconnects} times",
        "clients      " + ", ".join(f"{count} {name}" for name, count in sorted(ledger.counts.items())),
        f"violations   {len(violations)}",
    ]
    return lines


def gone_on(fleet: Fleet, found: Found, history: Sequence[tuple[float, str]]) -> list[str]:
    """How long runs took to resume after a kill, as `recoveries` defines it."""
    took = recoveries(fleet.lost, found.events, fleet.idle())
    near = [each for each in took if not each.loss.cut_off]
    apart = [each for each in took if each.loss.cut_off]
    lines = [
        f"went on      {len(near)} runs after the kill of their process: {quantiles([each.counted for each in near])}",
        f"  with the time in which the database or every executor was down: "
        f"{quantiles(sorted(each.took for each in near))}",
    ]
    if apart:
        lines.append(f"  {len(apart)} more, cut off before: {quantiles([each.counted for each in apart])}")
    for each in took[-SLOWEST:]:
        begin, end = each.loss.when, each.loss.when + each.took
        meanwhile = [f"{what} +{when - begin:.1f}" for when, what in history if begin - 1 < when < end]
        lines.append(f"  {each.loss.run_id}: {each.counted:.2f} of {each.took:.2f} s; {', '.join(meanwhile)}")
    return lines


def quantiles(values: Sequence[float]) -> str:
    """The quantiles of sorted values, in seconds."""
    named = (("p50", 0.5), ("p95", 0.95), ("max", 1))
    return ", ".join(f"{name} {quantile(values, share):.2f} s" for name, share in named)


def endings(found: Found, ledger: Ledger) -> dict[str, Counter[str]]:
    """How the runs of each kind of story ended."""
    status = {run["metadata"]["key"]: run["status"] for run in found.runs}
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for story in ledger.stories:
        for creation in story.creations:
            gone = "deleted" if creation.deleted else "rolled back"
            end = status.get(creation.key) or (gone if creation.state == CREATED else creation.state)
            table[story.kind][end] += 1
    return table


def quantile(values: Sequence[float], share: float) -> float:
    """A quantile of sorted values; NaN if there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def alarms(fleet: Fleet) -> list[str]:
    return [each for process in fleet.site.processes for each in alarms_of(process.log.name, process.output)]


def alarms_of(name: str, output: str) -> list[str]:
    """The forbidden lines of a process's log."""
    return [f"{name}: {line}" for line in output.splitlines() if ALARMS.search(line)]


def keep(folder: Path, database: Database, ledger: Ledger, violations: Sequence[str]) -> None:
    """Write the history to the folder of the processes' logs."""
    (folder / "violations").write_text("".join(f"{each}\n" for each in violations))
    dump: dict[str, Any] = {name: database.rows(f"SELECT * FROM {name}") for name in TABLES}
    dump["checkpoints"] = database.checkpoints()
    (folder / "database.json").write_text(json.dumps(dump, default=str, indent=1))
    known = {"stories": ledger.stories, "readings": ledger.readings}
    known_json = json.dumps(
        {name: [dataclasses.asdict(each) for each in listed] for name, listed in known.items()}, indent=1
    )
    (folder / "clients.json").write_text(known_json)
