"""Run chaos, print a table and the seed; the exit code is 1 after any violation."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.api import Api
from tests.chaos.checks import check
from tests.chaos.fleet import COMMANDS, Fleet
from tests.chaos.found import gather
from tests.chaos.ledger import Ledger
from tests.chaos.monkey import KINDS, Monkey
from tests.chaos.report import alarms, keep, table
from tests.chaos.shapes import GRAPHS
from tests.chaos.telling import tell
from tests.support.postgres import server

#: Everything must have ended within this many seconds after the last fault.
SETTLED = 60.0

verbose = False


def say(line: str) -> None:
    """Print progress, separate from the result."""
    if verbose:
        print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


async def clients(
    fleet: Fleet, ledger: Ledger, monkey: Monkey, *, seed: int, seconds: float, count: int
) -> None:
    """Hold parallel conversations for a time; then let them finish."""
    api = Api(fleet, ledger, f"clients/{seed}")
    numbers = itertools.count()
    until = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < until and monkey.is_alive():
            await tell(api, seed, next(numbers))

    talking = [asyncio.create_task(client()) for _ in range(count)]
    try:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(monkey.finish)
        await asyncio.to_thread(fleet.ready)
        say("the last fault is over")
        _, stuck = await asyncio.wait(talking, timeout=SETTLED)
        for task in stuck:
            task.cancel()
        ends = await asyncio.gather(*talking, return_exceptions=True)
        ledger.violations += [f"A client failed: {end!r}" for end in ends if isinstance(end, Exception)]
        if stuck:
            waiting = [story for story in ledger.stories if not story.ended and story.creations]
            ledger.violations.append(f"{len(stuck)} clients still waited: {waiting[-len(stuck) :]}")
    finally:
        await api.close()


def settled(fleet: Fleet) -> None:
    """Wait until no run is pending or running, including those that no client waits for."""
    deadline = time.monotonic() + SETTLED
    while time.monotonic() < deadline:
        fleet.look()
        left = fleet.site.database.rows(
            "SELECT count(*) AS count FROM runs_run WHERE status IN ('pending', 'running')"
        )
        if left[0]["count"] == 0:
            return
        time.sleep(0.2)


def chaos(folder: Path, options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the lines of the table, and the violations."""
    ledger = Ledger()
    with server() as database:
        fleet = Fleet(folder, database, options.processes, GRAPHS)
        try:
            fleet.ready()
            say("all processes serve")
            monkey = Monkey(fleet, options.seed, say, options.faults)
            monkey.start()
            asyncio.run(
                clients(
                    fleet, ledger, monkey, seed=options.seed, seconds=options.seconds, count=options.clients
                )
            )
            settled(fleet)
            say("every run is final")
            fleet.stop()
            say("all processes have ended")
            found = gather(fleet.site.database.rows, fleet.site.database.checkpoints(), trace(folder))
            violations = [*ledger.violations, *fleet.violations, *check(found, ledger), *alarms(fleet)]
            lines = table(found, ledger, fleet, monkey, violations)
            if violations or options.keep:
                keep(folder, fleet.site.database, ledger, violations)
                shutil.copy(database.folder / "log", folder / "log-postgres")
            return lines, violations
        finally:
            fleet.close()


def trace(folder: Path) -> list[str]:
    file = folder / "trace"
    return file.read_text().splitlines() if file.exists() else []


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long faults happen (%(default)g)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides what happens")
    parser.add_argument(
        "--processes",
        type=lambda text: text.split(","),
        default=["serve", "serve", "worker"],
        help=f"the processes, of {', '.join(COMMANDS)}; the last one's database connections get faults of their own",
    )
    parser.add_argument("--clients", type=int, default=24, help="conversations at once (%(default)s)")
    parser.add_argument(
        "--faults",
        type=lambda text: text.split(","),
        default=KINDS,
        help="only these, weighted by repetition (default: all)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs even without violations")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what happens")
    options = parser.parse_args(arguments)
    if unknown := set(options.processes) - set(COMMANDS):
        parser.error(f"unknown processes {', '.join(unknown)}")
    if unknown := set(options.faults) - set(KINDS):
        parser.error(f"unknown faults {', '.join(unknown)}; there are {', '.join(sorted(set(KINDS)))}")
    return options


def main(arguments: list[str]) -> int:
    global verbose
    options = parsed(arguments)
    verbose = options.verbose
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {options.seed}, {options.seconds:g} s, {','.join(options.processes)}", flush=True)
    try:
        lines, violations = chaos(folder, options)
    except BaseException:
        print(f"The logs are in {folder}.")
        raise
    print("\n".join(lines))
    if options.keep and not violations:
        print(f"The logs and a dump are in {folder}.")
    elif violations:
        kinds = Counter(each[:400] for each in violations)
        print("\n".join(f"  {each}" for each in list(kinds)[:20]))
        print(f"The logs and a dump are in {folder}.")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"seed {options.seed}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
