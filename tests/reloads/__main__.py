"""Save a project's code many times, with a run in the middle, on both databases; and measure beside `langgraph dev`.

python -m tests.reloads --times 50
python -m tests.reloads --times 5 --beside path/to/langgraph
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.reloads.dev import Dev
from tests.reloads.playing import save_within_a_run
from tests.reloads.project import Project
from tests.support.postgres import server

#: The time between two saves, in which the next process prepares itself, in seconds.
PAUSE = 4.0


def play(folder: Path, times: int, seed: int, **env: str) -> None:
    project, moment = Project(folder, seconds=0.2), random.Random(seed)
    with Dev(folder, **env) as dev:
        dev.ready()
        took = []
        for number in range(times):
            # A person saves no faster than this; in every third save, they do.
            time.sleep(0 if number % 3 == 2 else PAUSE)
            took.append(save_within_a_run(project, dev, moment, hold=number % 2 == 0))
    tell("saves with a run in the middle", took)


def measure(name: str, folder: Path, times: int, *command: str) -> None:
    """Seconds to serve, and to serve a saved change, of one development server."""
    project = Project(folder)
    options = ("--no-browser",) if command else ()
    with Dev(folder, *command, options=options) as dev:
        print(f"{name}: serves after {dev.ready():.1f} s", flush=True)
        time.sleep(8)
        took = []
        for _ in range(times):
            since = time.monotonic()
            took.append(dev.serves(project.save(), since=since))
            time.sleep(6)
        tell(f"{name}: saves", took)
        if not command:
            moment = random.Random(times)
            took = []
            for _ in range(times):
                took.append(save_within_a_run(project, dev, moment, hold=True))
                time.sleep(6)
            tell(f"{name}: saves with a run in the middle", took)
        broken(project, dev, name)


def broken(project: Project, dev: Dev, name: str) -> None:
    """Save a syntax error, then repair it."""
    project.save("\ndef broken(:\n")
    time.sleep(6)
    print(
        f"{name}: after a syntax error, /ok answers {dev.get('/ok')!r}, the process {'has ended' if dev.ended else 'lives'}"
    )
    if not dev.ended:
        since = time.monotonic()
        print(f"{name}: repaired after {dev.serves(project.save(), since=since):.1f} s", flush=True)


def tell(what: str, took: list[float]) -> None:
    print(
        f"{what}: {len(took)}, median {statistics.median(took):.2f} s, longest {max(took):.2f} s", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--beside", help="the path of LangGraph's command, to measure it too")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.beside:
            measure("deerflow dev", folder / "ours", options.times)
            measure("langgraph dev", folder / "theirs", options.times, str(Path(options.beside).resolve()))
            return
        print(f"--seed {options.seed}")
        plays: list[tuple[str, Callable[[], dict[str, str]]]] = [
            ("SQLite", dict),
            ("PostgreSQL", lambda: {"DATABASE_URL": stack.enter_context(server(fsync=False)).url}),
        ]
        for name, env in plays:
            print(f"=== {name} ===", flush=True)
            play(folder / name.lower(), options.times, options.seed, **env())


if __name__ == "__main__":
    main()
