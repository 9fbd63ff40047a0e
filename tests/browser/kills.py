"""Kill the server at random moments in mid-answer, and compare the page with the state: `make chat-kills`."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.__main__ import postgres
from tests.browser.test_chat import GRAPHS, HERE
from tests.browser.test_pages import chromium
from tests.clients.control import run_script
from tests.processes.databases import Template
from tests.processes.harness import Site

#: The most seconds of one kill: the answer, the start of a server, and the rest of the answer.
EACH = 120
KILL = re.compile(r"kill (\{.*\})")


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A site with a running server, on the database that the environment names."""
    cache, migrated, own = (folder / name for name in ("cache", "migrated", "own"))
    migrated.mkdir()
    own.mkdir()
    template = Template(migrated, cache)
    try:
        with template.copy(own) as database:
            made = Site(own, database, cache=cache, graphs=GRAPHS)
            try:
                made.start()
                yield made
            finally:
                made.close()
    finally:
        template.drop()


def play(label: str, times: int, seed: int) -> None:
    """Kill the server so many times, and print what was seen. Raises AssertionError with what differs."""
    with tempfile.TemporaryDirectory(prefix="chat-kills-") as name, site(Path(name)) as served:
        told = run_script(
            HERE / "kills.mjs",
            served,
            timeout=times * EACH,
            TIMES=str(times),
            SEED=str(seed),
            CHROMIUM=chromium(),
        )
    kills = [json.loads(found[1]) for found in KILL.finditer(told)]
    assert len(kills) == times, told
    words = [kill["before"] for kill in kills]
    waits = [kill["resumed"] / 1000 for kill in kills]
    print(
        f"{label}: {times} kills with the seed {seed}, no word lost or repeated. Words shown before: "
        f"{min(words)} to {max(words)}. The next word came {median(waits):.1f} s (median), {max(waits):.1f} s (most) "
        "after the new server was ready.",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.kills", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="kills on each database (default: 20)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    given = parser.parse_args()
    failed = False
    for database in ("sqlite", "postgresql") if given.database == "both" else (given.database,):
        try:
            if database == "sqlite":
                os.environ.pop("DATABASE_URL", None)
                play("SQLite", given.times, given.seed)
            else:
                with postgres() as server:
                    os.environ["DATABASE_URL"] = server.url  # type: ignore[attr-defined]
                    play("PostgreSQL", given.times, given.seed)
        except LookupError as missing:
            print(f"SKIPPED on PostgreSQL: {missing}.", flush=True)
        except AssertionError as error:
            failed = True
            print(f"{database}, seed {given.seed}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
