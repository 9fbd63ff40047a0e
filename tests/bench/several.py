"""The cases of several processes on one PostgreSQL, each with its row of the table."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from tests.bench import distances, writes
from tests.bench.client import connected
from tests.bench.fleet import Fleet, connections_of, fleet
from tests.bench.loops import Tally, repeat
from tests.bench.processes import Child
from tests.bench.rates import RATES, Rate, runner

Say = Callable[[str], None]
Rows = list[dict[str, Any]]
#: Cases by name; each has a database of its own.
NAMES = ("fleet-runs", "fleet-claims", "fleet-delays", "fleet-recovery", "fleet-costs", "fleet-writes")
PROCESSES = (1, 2, 4)
BACKLOG, USERS = 20_000, 200
KILLS, STOPS = 10, 3
SHORT_LEASE: dict[str, Any] = {"LEASE": 6.0, "HEARTBEAT": 1.0}


async def drive(rate: Rate, group: Fleet, seconds: float) -> Tally:
    """Twenty clients on each serving process."""
    connections = []
    async with connected(group.fronts[0].port, 20) as first:
        connections += first
        if len(group.fronts) == 1:
            return await repeat(runner(rate, connections), workers=20, seconds=seconds)
        async with connected(group.fronts[1].port, 20) as second:
            connections += second
            return await repeat(runner(rate, connections), workers=40, seconds=seconds)


async def runs(folder: Path, url: str, seconds: float, say: Say) -> Rows:
    """Runs a second with 1, 2, 4 executing processes, and the processor time of one run by kind of process."""
    rows: Rows = []
    async with fleet(folder, url, fronts=2, workers=0) as group:
        for many in PROCESSES:
            while len(group.workers) < many:
                await group.add_worker()
            for name in ("one-20", "ten-20"):
                rate = next(each for each in RATES if each.name == name)
                await drive(rate, group, 1)
                before = [sum(each.cpu for each in kind) for kind in (group.fronts, group.workers)]
                began = time.process_time()
                tally = await drive(rate, group, seconds)
                used = [sum(each.cpu for each in kind) for kind in (group.fronts, group.workers)]
                cpu = [(now - then) * 1000 / tally.count for now, then in zip(used, before, strict=True)]
                cpu.append((time.process_time() - began) * 1000 / tally.count)
                shown = "serving, executing, client CPU " + ", ".join(f"{value:.1f}" for value in cpu) + " ms"
                rows.append(
                    _row(
                        "fleet-runs", f"{rate.title.split(',')[0]}, {many} executing, 2 serving", f"{tally.rate:.1f} runs/s", note=shown,
                    )
                )  # fmt: skip
                say(f"{rows[-1]['title']}: {rows[-1]['shown']}, {shown}")
    return rows


def _row(name: str, title: str, shown: str, *, note: str = "", goal: str = "") -> dict[str, Any]:
    return {"name": name, "title": title, "shown": shown, "note": note, "goal": goal, "rounds": 1}


def seed(url: str) -> None:
    """Replace all rows by a backlog of pending runs of many users, each on its own thread."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("TRUNCATE threads_thread, runs_run, runs_worker CASCADE")
        db.execute("INSERT INTO auth_user (id, username, password, is_superuser, first_name, last_name, email, is_staff, "
            "is_active, date_joined) SELECT 1000 + n, 'bench' || n, '', false, '', '', '', false, true, now() "
            "FROM generate_series(1, %s) n ON CONFLICT DO NOTHING", [USERS])  # fmt: skip
        db.execute("INSERT INTO threads_thread (id, user_id, status, resting_status, metadata, config, interrupts, epoch, "
            "created_at, updated_at, state_updated_at) SELECT md5(n::text)::uuid, 1000 + 1 + n %% %s, 'busy', 'idle', "
            "'{}', '{}', '{}', 0, now(), now(), now() FROM generate_series(1, %s) n", [USERS, BACKLOG])  # fmt: skip
        db.execute("INSERT INTO runs_run (id, thread_id, assistant_id, user_id, status, metadata, kwargs, multitask_strategy, "
            "temporary, recovery, created_at, updated_at, due_at, attempt, lost_attempts, epoch, cancel_action, event_count, "
            "input_tokens, output_tokens) SELECT gen_random_uuid(), t.id, (SELECT id FROM runs_assistant LIMIT 1), t.user_id, "
            "'pending', '{}', '{}', 'enqueue', false, '', now(), now(), now() - random() * interval '1 hour', 0, 0, 0, '', "
            "0, 0, 0 FROM threads_thread t")  # fmt: skip
        db.execute("VACUUM ANALYZE runs_run, threads_thread")


async def claims(folder: Path, url: str, seconds: float, say: Say) -> Rows:
    """Claims per second of a backlog by 1, 2, 4 concurrent processes, 20 runs in each claim."""
    rows: Rows = []
    async with fleet(folder, url, fronts=1, workers=0) as group:
        for many in PROCESSES:
            await asyncio.to_thread(seed, url)
            log = folder / "claims.log"
            started = [
                await Child.start("-m", "tests.bench.claiming", str(seconds), log=log, environment=group.site)
                for _ in range(many)
            ]
            for each in started:
                await each.line()
            for each in started:
                await each.send("go")
            found = [json.loads(f"[{(await each.line()).replace(' ', ',')}]") for each in started]
            await asyncio.gather(*(each.ended() for each in started))
            rate = sum(claimed / inside for claimed, inside in found if inside)
            batches = sum(claimed for claimed, _ in found) / 20
            each_ms = sum(inside for _, inside in found) * 1000 / max(batches, 1)
            title = f"claims of {BACKLOG:,} runs of {USERS} users, {many} processes"
            rows.append(_row("fleet-claims", title, f"{rate:,.0f} runs/s", note=f"{each_ms:.1f} ms a batch"))
            say(f"{title}: {rate:.0f}/s, {each_ms:.1f} ms a batch of 20")
    return rows


async def delays(folder: Path, url: str, samples: int, say: Say) -> Rows:
    async with fleet(folder, url, fronts=2, workers=1) as group:
        await distances.dispatch(group, 20)
        found = await distances.dispatch(group, samples)
        claimed = distances.claim_delays(group, samples)
        await distances.cancels(group, 3)
        cancelled = await distances.cancels(group, samples)
    row = distances.delay_row
    rows = [
        row("fleet-delays", "create to first event, three processes, idle", found, goal="p95 < 50"),
        row("fleet-delays", "admission to claim elsewhere, idle", claimed),
        row("fleet-delays", "cancel to its end, three processes, idle", cancelled),
    ]
    for each in rows:
        say(f"{each['title']}: p50 {each['p50']:.1f}, p95 {each['p95']:.1f}, p99 {each['p99']:.1f} ms")
    return rows


async def recovery(folder: Path, url: str, samples: int, say: Say) -> Rows:
    rows: Rows = []
    for number, lease, many in (
        (signal.SIGKILL, {}, samples),
        (signal.SIGSTOP, SHORT_LEASE, STOPS),
        (signal.SIGSTOP, {}, STOPS),
    ):
        async with fleet(folder, url, fronts=2, workers=2, **lease) as group:
            found = [await distances.recovery(group, number) for _ in range(many)]
        title = f"{number.name} to the next attempt's first event, lease {lease.get('LEASE', 30.0):g} s"
        rows.append(distances.seconds_row("fleet-recovery", title, found))
        say(f"{title}: median {median(found):.2f} s, max {max(found):.2f} s of {many}")
    return rows


async def costs(folder: Path, url: str, seconds: float, say: Say) -> Rows:
    """Rows, WAL, commits and notifications of one run, and connections per process."""
    rows: Rows = []
    port = psycopg.conninfo.conninfo_to_dict(url).get("port")
    async with fleet(folder, url, fronts=1, workers=1) as group:
        for name in ("one-20", "ten-20"):
            rate = next(each for each in RATES if each.name == name)
            await drive(rate, group, 2)
            with psycopg.connect(url, autocommit=True) as db, psycopg.connect(url, autocommit=True) as ear:
                ear.execute("LISTEN runs")
                before = await asyncio.to_thread(writes.counters, db)
                for _ in ear.notifies(timeout=0):
                    pass
                tally = await drive(rate, group, seconds)
                heard = sum(len(each.payload) > 10 for each in ear.notifies(timeout=0.1))
                after = await asyncio.to_thread(writes.counters, db)
            used = {key: (after[key] - before[key]) / tally.count for key in before}
            used["notifications"] = heard / tally.count
            title = f"{rate.title.split(',')[0]}: per run"
            shown = (
                f"{used['WAL bytes'] / 1024:.1f} KB of WAL, {used['commits']:.1f} transactions, "
                f"{used['notifications']:.1f} NOTIFY"
            )
            note = ", ".join(f"{key} {value:.2f}" for key, value in used.items())
            rows.append(_row("fleet-costs", title, shown) | {"used": used})
            say(f"{title}: {tally.count} runs, {note}")
        serving, executing = (
            connections_of(each.pid, int(port or 5432)) for each in (group.fronts[0], group.workers[0])
        )
        rows.append(_row("fleet-costs", "connections: serving, executing process", f"{serving}, {executing}"))
        say(f"connections: serving {serving}, executing {executing}")
    return rows


async def parts(folder: Path, url: str, seconds: float, samples: int, say: Say) -> Rows:
    rows: Rows = []
    async with fleet(folder, url, fronts=1, workers=0) as group:
        await asyncio.to_thread(seed, url)
        for size in (1, 20):
            cost = await asyncio.to_thread(writes.fence_cost, url, size=size, samples=samples)
            title = f"checkpoint writes of {size} threads: fenced, unfenced"
            rows.append(_row("fleet-writes", title, f"{cost[0]:.2f}, {cost[1]:.2f} ms"))
            say(f"{title}: {rows[-1]['shown']}")
        rates = await asyncio.to_thread(writes.notify_rates, url, seconds)
        title = f"commits/s of {writes.WRITERS} writers: no NOTIFY, after the commit, within it"
        rows.append(_row("fleet-writes", title, ", ".join(f"{rate:,.0f}" for rate in rates.values())))
        say(f"{title}: {rows[-1]['shown']}")
        assert group.fronts
    return rows


async def measure(
    names: list[str], folder: Path, new_database: Callable[[], str], *, seconds: float, samples: int, quick: bool, say: Say
) -> Rows:  # fmt: skip
    """Measure the chosen cases; return the table's rows."""
    rows: Rows = []
    kills = 3 if quick else KILLS
    for name in (each for each in NAMES if each in names):
        place, url = folder / f"{name}-{uuid.uuid4().hex[:6]}", new_database()
        place.mkdir()
        match name:
            case "fleet-runs":
                rows += await runs(place, url, seconds, say)
            case "fleet-claims":
                rows += await claims(place, url, seconds, say)
            case "fleet-delays":
                rows += await delays(place, url, samples, say)
            case "fleet-recovery":
                rows += await recovery(place, url, kills, say)
            case "fleet-costs":
                rows += await costs(place, url, seconds, say)
            case "fleet-writes":
                rows += await parts(place, url, seconds, samples * 3, say)
    return rows
