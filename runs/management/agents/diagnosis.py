"""The checks of `agents doctor`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.management.base import CommandError
from django.db import connection

from runs import graphs
from runs.checks.configuration import check_settings
from runs.lifecycle.operators import queues
from runs.lifecycle.reconcile import reconcile
from runs.management.databases import require_migrated_database, require_reachable_database
from runs.models import ApiKey, Run, RunStatus, Worker
from runs.process.notifications import round_trip
from threads.db import clock

#: The difference between the database's clock and this machine's that is worth a warning, in seconds.
SKEW = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    #: `ok`, `warning` or `failed`.
    state: str
    found: str
    hint: str = ""


def diagnose() -> list[Finding]:
    """All checks; those that need a database only if there is a usable one.

    A database that cannot be used is the first finding, not a refusal as of the other commands: who asks
    what is wrong also wants to know whether the settings and the graphs are right.
    """
    findings = [*_settings(), *_graphs()]
    try:
        require_reachable_database()
        require_migrated_database()
    except CommandError as error:
        return [Finding("database", "failed", str(error)), *findings]
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _database, _clock, _notify, _keys, _workers, _queues, _orphans,
    )  # fmt: skip
    return [*(finding for check in checks for finding in check()), *findings]


def _settings() -> Iterator[Finding]:
    found = list(check_settings(None))
    for each in found:
        yield Finding("settings", "failed", str(each.msg), str(each.hint or ""))
    if not found:
        yield Finding("settings", "ok", "RUNS is valid")


def _graphs() -> Iterator[Finding]:
    failures = graphs.load_all()
    for error in failures.values():
        yield Finding("graphs", "failed", str(error), "Correct it; `manage.py check` says more.")
    names = graphs.names()
    if not names:
        yield Finding("graphs", "failed", "no graph is registered", "Name one in RUNS['GRAPHS'].")
    elif not failures:
        yield Finding("graphs", "ok", f"{len(names)} load: {', '.join(names)}")


def _database() -> Iterator[Finding]:
    began = time.perf_counter()
    with connection.cursor() as cursor:
        version = (
            "SELECT version()"
            if connection.vendor == "postgresql"
            else "SELECT 'SQLite ' || sqlite_version()"
        )
        cursor.execute(version)
        (found,) = cursor.fetchone()
    took = (time.perf_counter() - began) * 1000
    yield Finding(
        "database", "ok", f"{str(found).split(',')[0].split(' on ')[0]}, migrated, answers in {took:.1f} ms"
    )


def _clock() -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        yield Finding("clock", "ok", "this machine's, because the database is a file on it")
        return
    before = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
    here = before + (datetime.now(UTC) - before) / 2
    skew = (there - here).total_seconds()
    state = "warning" if abs(skew) > SKEW else "ok"
    hint = "Synchronise the clocks; runs go by the database's." if state == "warning" else ""
    yield Finding(
        "clock", state, f"the database is {abs(skew):.3f} s {'ahead' if skew > 0 else 'behind'}", hint
    )


def _notify() -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        yield Finding("notify", "ok", "not needed: one process executes runs on SQLite")
        return
    took = round_trip(timeout=5.0)
    if took is None:
        hint = "A pooler such as PgBouncer in transaction mode drops LISTEN; use a session."
        yield Finding("notify", "failed", "no notification arrived within 5 s", hint)
    else:
        yield Finding("notify", "ok", f"a round trip of {took * 1000:.1f} ms")


def _keys() -> Iterator[Finding]:
    now = clock.now()
    valid = ApiKey.objects.filter(revoked_at=None).exclude(expires_at__lte=now).count()
    yield Finding("api keys", "ok", f"{valid} valid")
    model = os.environ.get("AGENT_MODEL", "")
    provider = model.partition(":")[0]
    name = {
        "openai": "OPENAI_API_KEY",
        "anthropic": "ANTHROPIC_API_KEY",
        "google_genai": "GOOGLE_API_KEY",
    }.get(provider)
    if name and not os.environ.get(name):
        yield Finding(
            "model key", "warning", f"AGENT_MODEL is {model}, and {name} is not set", f"Set {name}."
        )
    elif name:
        yield Finding("model key", "ok", f"{name} is set for {model}")


def _workers() -> Iterator[Finding]:
    now = clock.now()
    alive = Worker.objects.alive(now).count()
    if alive:
        yield Finding("workers", "ok", f"{alive} alive")
    else:
        hint = "Start `manage.py run_worker` or `manage.py serve`."
        yield Finding("workers", "warning", "none is alive: pending runs wait", hint)


def _queues() -> Iterator[Finding]:
    found = queues.overview()
    unserved = [queue for queue in found if queue.pending and not queue.workers and not queue.paused_at]
    for queue in unserved:
        hint = f"Start a worker with --queues {queue.name}, or without --queues."
        yield Finding(
            "queues", "failed", f"{queue.pending} runs wait in {queue.name!r}, which no worker serves", hint
        )
    for queue in found:
        if queue.paused_at:
            hint = f"manage.py agents queues resume {queue.name}"
            yield Finding("queues", "warning", f"{queue.name!r} is paused, {queue.pending} runs wait", hint)
    if not unserved:
        waiting = sum(queue.pending for queue in found)
        yield Finding("queues", "ok", f"{waiting} runs wait, {sum(queue.running for queue in found)} execute")


def _orphans() -> Iterator[Finding]:
    report = reconcile(dry_run=True)
    if report.examined:
        hint = "Workers settle them within seconds; else run `manage.py reconcile_runs`."
        yield Finding("orphans", "warning", f"{report.examined} runs whose process is gone", hint)
    else:
        running = Run.objects.filter(status=RunStatus.RUNNING).count()
        yield Finding("orphans", "ok", f"none among {running} running runs")
