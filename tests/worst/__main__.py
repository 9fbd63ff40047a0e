"""`make worst`: everything that is tried, on both databases, and on SQLite with an Auth file too.

A seed that is printed draws the same share in the same order.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys

from tests.support.postgres import server

TESTS = "tests/worst/test_worst.py"


def play(label: str, share: float, seed: int, only: str, database: str = "", auth: str = "") -> int:
    print(f"=== {label}: WORST_SEED={seed}", flush=True)
    environment = {
        **os.environ, "WORST_SEED": str(seed), "WORST_SHARE": str(share), "WORST_ONLY": only, "WORST_SECONDS": "7200",
    }  # fmt: skip
    environment.pop("DATABASE_URL", None)
    environment["WORST_AUTH"] = auth
    if database:
        environment["DATABASE_URL"] = database
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-o", "timeout=0", TESTS]
    return subprocess.call(command, env=environment)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.worst", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how much of it (default: 1)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--only", default="", help="a pattern that names of requests contain")
    parser.add_argument("--sqlite", action="store_true", help="on SQLite alone")
    given = parser.parse_args()
    failed = play("SQLite", given.share, given.seed, given.only)
    failed |= play("SQLite, with an Auth file", given.share, given.seed, given.only, auth="permissive")
    if not given.sqlite:
        with server(fsync=False) as database:
            failed |= play("PostgreSQL", given.share, given.seed, given.only, database.url)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
