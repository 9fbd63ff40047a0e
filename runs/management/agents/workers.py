"""`agents workers`: list workers, and drain them."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Count, Q

from runs.lifecycle.operators.queues import drain as request_on_record
from runs.management.agents.parsing import FEWEST_DIGITS, Noun
from runs.management.agents.printing.output import Column, Output
from runs.management.agents.printing.rows import worker_row
from runs.management.agents.run_verbs.actions import operator
from runs.management.arguments import seconds
from runs.models import RunStatus, Worker

TIMED_OUT = 124
PAUSE = 0.25
COLUMNS = (
    Column("state", "state", state=True),
    Column("worker", "worker_id"),
    Column("host", "host"),
    Column("pid", "pid", right=True),
    Column("runs", "runs", right=True),
    Column("queues", "shown_queues", breaks=True),
    Column("started", "started_at"),
    Column("heartbeat", "heartbeat_at"),
)


def add(nouns: Any) -> None:
    noun = Noun(nouns, "workers", "Look at the processes that execute runs, and drain them.")
    parser = noun.verb("list", list_workers, "List workers, newest first.")
    parser.add_argument("--all", action="store_true", help="Also those that have stopped.")
    parser = noun.verb(
        "drain", drain, "Let workers take no more runs, stop theirs at the next step, and end their leases."
    )
    parser.add_argument(
        "workers", nargs="*", metavar="WORKER", help="Its id, the beginning or the end of it, or host:pid."
    )
    parser.add_argument("--all", action="store_true", help="All workers.")
    parser.add_argument("--wait", action="store_true", help="Wait until they have drained.")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=300.0,
        metavar="S",
        help="With --wait: exit with 124 after this (default: 300).",
    )


def _counted() -> Any:
    executing = Count("runs", filter=Q(runs__status=RunStatus.RUNNING))
    return Worker.objects.annotate(executing=executing).order_by("-id")


def list_workers(given: Namespace, out: Output) -> None:
    found = _counted() if given.all else _counted().filter(stopped_at=None)
    rows = [worker_row(worker) for worker in found]
    if not out.as_json:
        rows = [
            {
                **row,
                "runs": f"{row['executing']}/{row['concurrency']}",
                "shown_queues": "all" if row["queues"] is None else ", ".join(row["queues"]),
            }
            for row in rows
        ]
    out.table(
        "workers",
        COLUMNS,
        rows,
        empty="No worker runs: start one with `manage.py run_worker` or `manage.py serve`.",
    )


def drain(given: Namespace, out: Output) -> int:
    if bool(given.workers) == given.all:
        raise CommandError("Name workers, or say --all.", returncode=2)
    alive = [each for each in Worker.objects.filter(stopped_at=None) if each.state != "killed"]
    asked = alive if given.all else [_find(alive, text) for text in given.workers]
    for worker in asked:
        request_on_record(worker, by=operator())
    out.say(f"Asked {len(asked)} workers to drain; they hear it at their next heartbeat.")
    left = _wait(asked, given.timeout, out) if given.wait else asked
    if out.as_json:
        rows = [worker_row(worker) for worker in _counted().filter(id__in=[each.id for each in asked])]
        out.object(workers=rows, drained=not left)
    else:
        for worker in asked:
            out.line(f"{worker.id}  {worker}  {'asked to drain' if worker in left else 'drained'}")
    return TIMED_OUT if given.wait and left else 0


def _find(alive: list[Worker], text: str) -> Worker:
    digits = text.replace("-", "").lower()
    enough = len(digits) >= FEWEST_DIGITS
    found = [
        each for each in alive
        if str(each) == text or (enough and (each.id.hex.startswith(digits) or each.id.hex.endswith(digits)))
    ]  # fmt: skip
    if len(found) != 1:
        raise CommandError(f"{text!r} is the name of {'several workers' if found else 'no live worker'}.")
    return found[0]


def _wait(asked: list[Worker], timeout: float, out: Output) -> list[Worker]:
    """Wait until the workers' leases have ended; return those whose have not."""
    deadline = time.monotonic() + timeout
    left = asked
    while left:
        present = {each.id: each for each in _counted().filter(id__in=[each.id for each in left])}
        still = [
            each
            for each in left
            if each.id in present and present[each.id].state not in ("stopped", "killed")
        ]
        if len(still) < len(left):
            out.say(f"{len(asked) - len(still)} of {len(asked)} have drained.")
        left = still
        if not left or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    return left
