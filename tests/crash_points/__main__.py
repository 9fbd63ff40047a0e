"""`make crash-points`: many generated cases on both databases. The printed seed replays them."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys

from tests.support.postgres import server

TESTS = "tests/crash_points/test_generated.py"
TEST = f"{TESTS}::test_generated_cases_end_as_plain_langgraph_allows"
KNOWN = f"{TESTS}::test_a_case_that_was_wrong_once"
#: The number of graphs on SQLite and on PostgreSQL, and of accidents of a graph that is not small.
SQLITE, POSTGRESQL, POINTS = 500, 100, 20


def play(label: str, graphs: int, points: int, seed: int, database: str = "") -> int:
    """Play cases in two processes that divide the seeds."""
    print(f"=== {label}: {graphs} graphs, CRASH_SEED={seed}", flush=True)
    parts = [(seed, graphs // 2), (seed + graphs // 2, graphs - graphs // 2)]
    running = []
    for first, count in parts:
        environment = {
            **os.environ,
            "CRASH_SEED": str(first),
            "CRASH_GRAPHS": str(count),
            "CRASH_POINTS": str(points),
        }
        environment.pop("DATABASE_URL", None)
        if database:
            # Each part has a database of its own: Django makes one of this name for its tests.
            environment["DATABASE_URL"] = f"{database.rpartition('/')[0]}/part{first}"
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:logging", TEST]
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    return max(each.wait() for each in running)


def play_known() -> int:
    """Play the cases that failed once at every point, on SQLite."""
    print("=== SQLite: cases that failed once, at every point", flush=True)
    environment = {**os.environ, "CRASH_POINTS": "1000"}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:logging", KNOWN]
    return subprocess.run(command, env=environment).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash_points", description=__doc__)
    parser.add_argument("--sqlite", type=int, default=SQLITE, help=f"graphs on SQLite (default: {SQLITE})")
    parser.add_argument(
        "--postgresql", type=int, default=POSTGRESQL, help=f"graphs on PostgreSQL (default: {POSTGRESQL})"
    )
    parser.add_argument(
        "--points", type=int, default=POINTS, help=f"accidents of a graph (default: {POINTS})"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    given = parser.parse_args()
    failed = play_known() | play("SQLite", given.sqlite, given.points, given.seed) if given.sqlite else 0
    if given.postgresql:
        with server(fsync=False) as database:
            failed |= play("PostgreSQL", given.postgresql, given.points, given.seed, database.url)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
