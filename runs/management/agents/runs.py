"""`agents runs`: list and show runs; the other verbs are in `run_verbs`."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from runs.management.agents.chat_answers import question_lines
from runs.management.agents.parsing import Noun, by_id
from runs.management.agents.printing.output import Column, Output, cell, fitting, plain
from runs.management.agents.printing.rows import LARGE, run_details, run_row
from runs.management.agents.run_verbs import actions, indexing, tail, transfers
from runs.management.agents.run_verbs.choice import add_filters, chosen, exit_status, loaded
from runs.management.arguments import positive
from runs.models import Run, RunStatus
from threads.display import EMPTY, seconds

COLUMNS = (
    Column("status", "shown_status", state=True),
    Column("run", "run_id"),
    Column("graph", "graph_id"),
    Column("user", "user"),
    Column("created", "created_at"),
    Column("took", "took", right=True),
    Column("attempt", "attempt", right=True),
    Column("error", "shown_error", breaks=True),
)


def add(nouns: Any) -> None:
    noun = Noun(nouns, "runs", "Look at runs, and act on them.")
    listing = noun.verb("list", list_runs, "List runs, newest first.")
    add_filters(listing)
    listing.add_argument(
        "--limit", type=positive, default=50, metavar="N", help="At most so many (default: 50)."
    )
    listing.add_argument("--jsonl", action="store_true", help="Print one JSON object a line.")
    shown = noun.verb("show", show, "Show a run: its state, its request, its error.")
    shown.add_argument("run", help="The run's id, or the beginning or the end of it.")
    shown.add_argument("--exit-status", action="store_true", help="Exit with the run's status, see below.")
    tail.add(noun)
    actions.add(noun)
    transfers.add(noun)
    indexing.add(noun)


def list_runs(given: Namespace, out: Output) -> None:
    rows = [run_row(run) for run in loaded(chosen(given)).defer(*LARGE)[: given.limit]]
    if given.jsonl:
        for row in rows:
            out.line(json.dumps(row, ensure_ascii=False, default=plain))
        return
    if not given.as_json:
        rows = [_shown(row) for row in rows]
    out.table("runs", COLUMNS, rows, empty="There are no such runs.")
    if len(rows) == given.limit:
        out.say(f"The newest {given.limit}; --limit shows more.")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    error = row["error"] or {}
    text = f"{error.get('error')}: {error.get('message')}" if error else EMPTY
    took = row["duration_s"]
    return {
        **row,
        "shown_status": shown_status(row),
        "took": EMPTY if took is None else seconds(took),
        "shown_error": fitting(text, width=60),
    }


def shown_status(row: dict[str, Any]) -> str:
    """The status in an operator's words: what waits for a person is no success yet."""
    if row["waits_for_answer"]:
        return "waiting"
    return "cancelled" if row["status"] == RunStatus.INTERRUPTED else str(row["status"])


def show(given: Namespace, out: Output) -> int | None:
    run: Any = by_id(loaded(Run.objects.all()), given.run)
    details = run_details(run)
    if out.as_json:
        out.object(run=details)
    else:
        _print(run, details, out)
    return exit_status(run) if given.exit_status else None


def _print(run: Any, details: dict[str, Any], out: Output) -> None:
    error = details["error"] or {}
    kwargs = details["kwargs"]
    took = details["duration_s"]
    facts = {
        "status": shown_status(details),
        "error": f"{error.get('error')}: {error.get('message')}" if error else None,
        "graph": f"{details['graph_id']} (assistant {details['assistant']})",
        "thread": details["thread_id"],
        "user": details["user"],
        "queue": f"{run.queue}, priority {run.priority}",
        "attempts": f"{run.attempt}, {run.lost_attempts} of them lost" if run.lost_attempts else run.attempt,
        "worker": details["worker"],
        "created": f"{cell(run.created_at)} ({run.created_at:%Y-%m-%d %H:%M:%S} UTC)",
        "queue wait": None if run.started_at is None else seconds(details["queue_wait_s"]),
        "took": None if took is None else seconds(took),
        "tokens": f"{run.input_tokens} in, {run.output_tokens} out"
        if run.input_tokens or run.output_tokens
        else None,
        "cancel": details["cancel_action"],
        "input": kwargs.get("input"),
        "command": kwargs.get("command"),
        "config": kwargs.get("config"),
        "context": kwargs.get("context"),
        "metadata": details["metadata"],
    }
    out.fields(f"Run {run.id}", facts)
    if not run.waits:
        return
    for question in (each for asked in run.thread.interrupts.values() for each in asked):
        out.line(f"\nIt asks ({question['id']}):")
        for line in question_lines(question["value"]):
            out.line(f"  {line}")
    out.say(f"Answer with: manage.py agents runs answer {run.id} JSON")
