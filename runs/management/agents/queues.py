"""`agents queues`: list queues, and pause and resume them."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from dataclasses import asdict
from typing import Any

from runs.graphs.sources import QUEUE
from runs.lifecycle.operators import queues
from runs.management.agents.parsing import Noun, age_in_seconds
from runs.management.agents.printing.output import Column, Output
from runs.management.agents.run_verbs.actions import operator
from threads.display import seconds

COLUMNS = (
    Column("queue", "name"),
    Column("state", "state", state=True),
    Column("pending", "pending", right=True),
    Column("oldest", "oldest", right=True),
    Column("running", "running", right=True),
    Column("workers", "shown_workers", state=True, right=True),
    Column("reason", "reason", breaks=True),
)


def queue_name(text: str) -> str:
    if QUEUE.fullmatch(text):
        return text
    raise ArgumentTypeError(f"{text!r} is no queue's name.")


def add(nouns: Any) -> None:
    noun = Noun(nouns, "queues", "Look at queues, and pause them.")
    noun.verb("list", list_queues, "List queues, with what waits in them.")
    parser = noun.verb("pause", pause, "Let no worker claim runs of a queue; those that execute continue.")
    parser.add_argument("queue", type=queue_name, help="The queue's name.")
    parser.add_argument("--reason", default="", metavar="TEXT", help="Why, for whoever looks at the queue.")
    parser = noun.verb("resume", resume, "End a queue's pause.")
    parser.add_argument("queue", type=queue_name, help="The queue's name.")
    parser.add_argument("--reason", default="", metavar="TEXT", help="Why; it is on record.")


def list_queues(given: Namespace, out: Output) -> None:
    rows = []
    for queue in queues.overview():
        waited = age_in_seconds(queue.waiting_since)
        row = {
            **asdict(queue),
            "state": "paused" if queue.paused_at else "running",
            "oldest_pending_s": waited,
        }
        if not out.as_json:
            row["oldest"] = None if waited is None else seconds(waited)
            row["shown_workers"] = str(queue.workers or "none")
        rows.append(row)
    out.table("queues", COLUMNS, rows, empty="There are no queues.")
    for queue in queues.overview():
        if queue.pending and not queue.workers:
            out.say(f"No worker serves the queue {queue.name!r}: {queue.pending} runs wait.")


def pause(given: Namespace, out: Output) -> None:
    changed = queues.pause(given.queue, by=operator(), reason=given.reason)
    _report(given.queue, out, paused=True, changed=changed)


def resume(given: Namespace, out: Output) -> None:
    changed = queues.resume(given.queue, by=operator(), reason=given.reason)
    _report(given.queue, out, paused=False, changed=changed)


def _report(name: str, out: Output, *, paused: bool, changed: bool) -> None:
    if out.as_json:
        out.object(queue=name, paused=paused, changed=changed)
        return
    state = "paused" if paused else "running"
    out.line(f"The queue {name!r} is {state}{'' if changed else ', as before'}.")
