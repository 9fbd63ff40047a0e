"""Measure the server against a bare LangGraph loop, and print one table."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import delays, memory, profiles, rates, reads, several, sockets
from tests.bench.processes import bare_loop, postgres_databases, serving
from tests.bench.rates import RATES, Rate
from tests.bench.report import about_machine, print_table

OTHERS = ("first-event", "readers", "sleepers", memory.NAME, sockets.NAME)
NAMES = [*(rate.name for rate in RATES), *OTHERS, *reads.NAMES, *several.NAMES]


def say(line: str) -> None:
    """Print progress, separate from the result."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Plan:
    """The amount of measuring: rounds, their seconds, samples of a delay, rounds of long cases."""

    names: list[str]
    rounds: int
    seconds: float
    samples: int
    long_rounds: int


@dataclass(frozen=True)
class Place:
    """Where one database's measurements live."""

    folder: Path
    server_url: str | None = None
    bare_url: str | None = None
    sleepers_url: str | None = None
    store_url: str | None = None
    sockets_url: str | None = None
    fleet_urls: tuple[str, ...] = ()


@contextmanager
def place(database: str) -> Iterator[Place]:
    """Temporary folders, and on PostgreSQL temporary databases."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        if database == "sqlite":
            yield Place(Path(name))
        else:
            fleets = [each.replace("-", "_") for each in several.NAMES]
            with postgres_databases("server", "bare", "sleepers", "store", "sockets", *fleets) as urls:
                yield Place(Path(name), *urls[:5], fleet_urls=tuple(urls[5:]))


async def measure(plan: Plan, where: Place) -> list[dict[str, Any]]:
    """Measure the chosen cases on one database; return the table's rows."""
    rows: list[dict[str, Any]] = []
    wanted = [rate for rate in RATES if rate.name in plan.names]
    async with AsyncExitStack() as stack:
        if memory.NAME in plan.names:
            rows += await memory.measure(
                where.folder / "store", where.store_url, rounds=plan.rounds, samples=plan.samples, say=say
            )
        if sockets.NAME in plan.names:
            rows += await sockets.measure(
                where.folder / "sockets", where.sockets_url, rounds=plan.long_rounds, say=say
            )
        if not {*plan.names} - {*several.NAMES, memory.NAME, sockets.NAME}:
            return rows + await measure_several(plan, where)
        server = await stack.enter_async_context(serving(where.folder / "server", where.server_url))
        if wanted:
            bare = await stack.enter_async_context(bare_loop(where.folder, where.bare_url))
        rows += [
            await rates.compare(rate, server, bare, rounds=plan.rounds, seconds=plan.seconds, say=say)
            for rate in wanted
        ]
        if "first-event" in plan.names:
            rows += await delays.measure_first_event(
                server, rounds=plan.rounds, samples=plan.samples, say=say
            )
        if "readers" in plan.names:
            rows += await delays.measure_readers(server, rounds=plan.rounds, say=say)
        if {*plan.names} & {*reads.NAMES}:
            rows += await reads.measure(
                plan.names, server, samples=plan.samples, seconds=plan.seconds, say=say
            )
    if "sleepers" in plan.names:
        rows.append(delays.sleepers_row([await asleep(where) for _ in range(plan.long_rounds)]))
    return rows + await measure_several(plan, where)


async def measure_several(plan: Plan, where: Place) -> list[dict[str, Any]]:
    """Measure the cases of several processes, which need PostgreSQL."""
    if not where.fleet_urls:
        return []
    urls = iter(where.fleet_urls)
    return await several.measure(
        plan.names, where.folder, lambda: next(urls), seconds=plan.seconds, samples=plan.samples,
        quick=plan.long_rounds == 1, say=say,
    )  # fmt: skip


async def asleep(where: Place) -> tuple[float, float]:
    """One round of the sleeping runs, on a fresh server without other cases' memory."""
    url = where.sleepers_url
    async with serving(where.folder / "sleepers", url, RUN_CONCURRENCY=str(delays.SLEEPERS)) as server:
        await rates.warm_up(RATES[1], server, None)
        seconds, megabytes = await delays.sleepers(server)
    say(f"sleepers: {seconds:.1f} s, {megabytes:.0f} MB")
    return seconds, megabytes


async def profile(rate: Rate, where: Place, seconds: float) -> None:
    """Keep the server busy with one case, and print where its time goes."""
    record = where.folder / "profile"
    sampled = profiles.sampler() is not None
    python = () if sampled else ("-m", "cProfile", "-o", str(record))
    async with serving(where.folder / "server", where.server_url, python=python) as server:
        await rates.warm_up(rate, server, None)
        working = asyncio.create_task(rates.measure_server(rate, server, seconds + 2))
        if sampled:
            await asyncio.sleep(1)
            await profiles.sample(server.pid, seconds, record)
        tally = await working
    print(f"\n=== {rate.title}: {tally.rate:.1f} {rate.unit} while profiled")
    if sampled:
        profiles.print_samples(record)
    else:
        print(
            "By cProfile, because py-spy is not installed: only the event loop's thread, including the server's start."
        )
        profiles.print_record(record)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument(
        "--quick", action="store_true", help="shorter rounds, and the sleeping runs only once"
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", help=f"a case, or how some begin: {', '.join(NAMES)}"
    )
    parser.add_argument("--rounds", type=int, help="how often each case is measured (default: 3)", default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--profile", action="store_true", help="show where the server's time goes in the cases of --only"
    )
    given = parser.parse_args()
    given.names = [name for name in NAMES if not given.only or name.startswith(tuple(given.only))]
    if not given.names:
        parser.error(f"there is no case {', '.join(given.only)}: name one of {', '.join(NAMES)}")
    if given.profile and not (given.only and any(rate.name in given.names for rate in RATES)):
        parser.error(f"--profile needs --only, and one of {', '.join(rate.name for rate in RATES)}")
    return given


def main() -> int:
    given = arguments()
    results: dict[str, list[dict[str, Any]]] = {}
    plan = Plan(
        given.names,
        rounds=given.rounds,
        seconds=1.5 if given.quick else 4.0,
        samples=30 if given.quick else 100,
        long_rounds=1 if given.quick else given.rounds,
    )
    for database in ("sqlite", "postgresql") if given.database == "both" else (given.database,):
        say(f"=== {database}")
        try:
            with place(database) as where:
                if not given.profile:
                    results[database] = asyncio.run(measure(plan, where))
                    continue
                for rate in (rate for rate in RATES if rate.name in given.names):
                    print(f"\n##### {database}")
                    asyncio.run(profile(rate, where, 5 if given.quick else 12))
        except LookupError as missing:
            print(f"SKIPPED on PostgreSQL: {missing}.", flush=True)
    if results:
        machine = about_machine()
        print_table(machine, results)
        if given.json:
            given.json.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
