"""Invariants after every fault, checked in the database and the servers' logs (durability §1.3)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby, pairwise

from tests.processes import logs
from tests.processes.databases import Row
from tests.processes.harness import TERMINAL, Site
from tests.processes.readers import Position


def sound(site: Site, *, waiting: int = 0, allowed: str = r"(?!)", clock_set_back: bool = False) -> None:
    """Assert the invariants of a site whose servers have stopped.

    Args:
        waiting: How many runs are left for the next server.
        allowed: Alarms that the log may contain.
        clock_set_back: Whether the machine's clock, used for SQLite's rows, was set back between
            two processes.
    """
    runs = site.database.rows("SELECT * FROM runs_run")
    threads = {row["id"]: row for row in site.database.rows("SELECT * FROM threads_thread")}
    events = site.database.rows("SELECT * FROM runs_runevent ORDER BY run_id, epoch, seq")
    statuses(runs, threads, waiting=waiting)
    by_run = {run_id: list(rows) for run_id, rows in groupby(events, key=lambda row: row["run_id"])}
    assert set(by_run) <= {run["id"] for run in runs}, "Events outlived their run."
    for run in runs:
        log_of_run(run, by_run.get(run["id"], []), clock_set_back=clock_set_back)
    history(site.database.checkpoints())
    server_logs(site, allowed=allowed)


def statuses(runs: Sequence[Row], threads: dict[str, Row], *, waiting: int) -> None:
    """I1, I2, I14: one final status each, at most one run of a thread runs, no thread is stuck."""
    in_flight = [run for run in runs if run["status"] not in TERMINAL]
    assert [run["status"] for run in in_flight] == ["pending"] * waiting, [run["status"] for run in runs]
    busy = {run["thread_id"] for run in in_flight}
    for run in runs:
        assert run["worker_id"] is None, run
        assert (run["finished_at"] is not None) == (run["status"] in TERMINAL), run
        assert run["epoch"] <= threads[run["thread_id"]]["epoch"], run
        assert bool(run["error"]) == (run["status"] in ("error", "timeout")), run
    for thread in threads.values():
        assert (thread["status"] == "busy") == (thread["id"] in busy), thread


def log_of_run(run: Row, events: Sequence[Row], *, clock_set_back: bool = False) -> None:
    """I7, I8: ids only grow, attempts do not mix, and the end agrees with the status."""
    attempts = [list(rows) for _, rows in groupby(events, key=lambda row: row["epoch"])]
    for rows in attempts:
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1)), (
            f"A gap in epoch {rows[0]['epoch']}"
        )
    for earlier, later in () if clock_set_back else pairwise(attempts):
        assert max(row["created_at"] for row in earlier) <= min(row["created_at"] for row in later)
    began = [json.loads(rows[0]["data"])["attempt"] for rows in attempts if rows[0]["event"] == "metadata"]
    assert began == sorted(set(began)), f"Attempts {began}"
    assert all(row["event"] != "metadata" for rows in attempts for row in rows[1:])
    assert not began or began[-1] <= run["attempt"]
    errors = [row for row in events if row["event"] == "error"]
    if run["status"] in ("error", "timeout"):
        assert errors == [events[-1]], "A failed run's last event is its error, and it has one."
    else:
        assert not errors
    if run["status"] == "success":
        assert attempts[-1][0]["event"] == "metadata"
        assert attempts[-1][0]["epoch"] == run["epoch"]


def history(checkpoints: Sequence[Row]) -> None:
    """I2, I4: no thread forked, no input was applied twice."""
    children = Counter((each["thread_id"], each["ns"], each["parent"]) for each in checkpoints)
    assert [place for place, count in children.items() if count > 1] == [], "The history forked."
    inputs = Counter(each["run_id"] for each in checkpoints if each["source"] == "input" and not each["ns"])
    assert [run for run, count in inputs.items() if count > 1] == [], "An input was applied twice."


def server_logs(site: Site, *, allowed: str) -> None:
    """I9: no server logged an alarm."""
    if found := logs.alarms(site.output, allowed=allowed):
        raise AssertionError(found)


def read_everything(site: Site, run: Row, ids: Sequence[Position]) -> None:
    """I7: a reader had each event once, in order, and everything that the log has."""
    for earlier, later in pairwise(ids):
        assert earlier < later, f"{later} after {earlier}"
    log = {(row["epoch"], row["seq"]) for row in site.events(run)}
    assert log - set(ids) == set(), "Events of the log never reached the reader."
    unknown = defaultdict(list)
    for epoch, seq in set(ids) - log:
        unknown[epoch].append(seq)
    # The last events before a kill may not have reached the log; those of the last attempt always have.
    assert max(unknown, default=0) < max(epoch for epoch, _ in log), (
        f"Events that the log does not have: {unknown}"
    )
