"""`agents threads`: list, show and delete threads, and read their states."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from contextlib import aclosing
from typing import Any

from django.contrib.auth import get_user_model

from runs.encoding import encode
from runs.identity.principals import Principal
from runs.management.agents.parsing import Noun, by_id, confirmed
from runs.management.agents.printing.event_lines import summary
from runs.management.agents.printing.output import Column, Output, fitting
from runs.management.agents.printing.rows import thread_details, thread_row
from runs.management.agents.run_verbs.actions import operator
from runs.management.agents.runtimes import in_runtime
from runs.management.arguments import positive
from runs.management.times import before_time
from runs.retention.thread_deletion import delete_for_operator
from threads.models import Thread, ThreadStatus

THREAD = "The thread's id, or the beginning or the end of it."
COLUMNS = (
    Column("status", "status", state=True),
    Column("thread", "thread_id"),
    Column("graph", "graph_id"),
    Column("user", "user"),
    Column("created", "created_at"),
    Column("updated", "updated_at"),
    Column("error", "shown_error", breaks=True),
)
HISTORY = (
    Column("checkpoint", "checkpoint_id"),
    Column("step", "step", right=True),
    Column("source", "source"),
    Column("next", "next"),
    Column("values", "values", breaks=True),
)


def add(nouns: Any) -> None:
    noun = Noun(nouns, "threads", "Look at threads and their states.")
    parser = noun.verb("list", list_threads, "List threads, newest first.")
    parser.add_argument("--status", choices=ThreadStatus.values, help="Only threads of this status.")
    parser.add_argument("--user", metavar="NAME", help="Only a user's threads.")
    parser.add_argument(
        "--since", type=before_time, metavar="TIME",
        help="Only threads created after an ISO time, or within an age such as 90s, 30m, 2h or 1d.",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=positive, default=50, metavar="N", help="At most so many (default: 50)."
    )
    parser = noun.verb("show", show, "Show a thread: its state, its questions, its runs.")
    parser.add_argument("thread", help=THREAD)
    parser = noun.verb("state", state, "Print a thread's state, read through its graph.")
    parser.add_argument("thread", help=THREAD)
    parser.add_argument("--at", metavar="CHECKPOINT", help="At this checkpoint (default: the latest).")
    parser = noun.verb("history", history, "List a thread's checkpoints, newest first.")
    parser.add_argument("thread", help=THREAD)
    parser.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="At most so many (default: 20)."
    )
    parser = noun.verb("delete", delete, "Delete threads with all their data; runs in flight end.")
    parser.add_argument("threads", nargs="+", metavar="THREAD", help=THREAD)
    parser.add_argument("--yes", action="store_true", help="Do not ask.")


def _visible() -> Any:
    return Thread.objects.visible().select_related("user")


def list_threads(given: Namespace, out: Output) -> None:
    found = _visible().defer("values", "config", "interrupts").order_by("-created_at", "-id")
    if given.status:
        found = found.filter(status=given.status)
    if given.user:
        found = found.filter(**{f"user__{get_user_model().USERNAME_FIELD}": given.user})
    if given.since:
        found = found.filter(created_at__gte=given.since)
    rows = [thread_row(thread) for thread in found[: given.limit]]
    if not out.as_json:
        rows = [{**row, "shown_error": _error(row["error"])} for row in rows]
    out.table("threads", COLUMNS, rows, empty="There are no such threads.")


def _error(error: dict[str, Any] | None) -> str:
    return fitting(f"{error.get('error')}: {error.get('message')}", width=60) if error else ""


def show(given: Namespace, out: Output) -> None:
    thread = by_id(_visible(), given.thread)
    details = thread_details(thread)
    runs = [
        {"run_id": str(run_id), "status": status, "created_at": created}
        for run_id, status, created in thread.runs.order_by("-id").values_list("id", "status", "created_at")[
            :20
        ]
    ]
    if out.as_json:
        out.object(thread={**details, "runs": runs})
        return
    shown = {name.removesuffix("_at"): each for name, each in details.items() if name != "thread_id"}
    shown["error"] = _error(details["error"])
    shown["questions"] = shown.pop("interrupts")
    out.fields(f"Thread {thread.id}", shown)
    columns = (
        Column("run", "run_id"),
        Column("status", "status", state=True),
        Column("created", "created_at"),
    )
    out.line()
    out.table("runs", columns, runs, empty="It has no runs.")


def state(given: Namespace, out: Output) -> None:
    # Not above: it imports the graphs' libraries, which take a second.
    from runs.states.reads import readable_by
    from threads.state.read import read_state

    thread = by_id(_visible(), given.thread)
    at = {"checkpoint_ns": "", "checkpoint_id": given.at} if given.at else None
    found = in_runtime(
        lambda runtime: read_state(thread, open_graph=readable_by(Principal(thread.user_id)), checkpoint=at)
    )
    shown = json.loads(encode(found))
    if out.as_json:
        out.object(state=shown)
    else:
        out.line(json.dumps(shown, indent=2, ensure_ascii=False))


def history(given: Namespace, out: Output) -> None:
    thread = by_id(_visible(), given.thread)
    states = in_runtime(lambda runtime: _history(thread, given.limit))
    if out.as_json:
        out.object(states=states)
        return
    rows = [
        {
            "checkpoint_id": each["checkpoint_id"],
            "step": (each["metadata"] or {}).get("step"),
            "source": (each["metadata"] or {}).get("source"),
            "next": ", ".join(
                f"{node} ×{count}" if count > 1 else node for node, count in Counter(each["next"]).items()
            ),
            "values": summary("values", each["values"]),
        }
        for each in states
    ]
    out.table("states", HISTORY, rows, empty="The thread has no checkpoints.")


async def _history(thread: Thread, limit: int) -> list[dict[str, Any]]:
    # Not above: it imports the graphs' libraries, which take a second.
    from runs.states.reads import readable_by
    from threads.state.read import read_history

    found = read_history(thread, open_graph=readable_by(Principal(thread.user_id)), limit=limit)
    async with aclosing(found):
        return [json.loads(encode(each)) async for each in found]


def delete(given: Namespace, out: Output) -> int:
    found = [by_id(_visible(), text) for text in given.threads]
    names = ", ".join(str(thread.id) for thread in found)
    if not confirmed(out, f"Delete {names} with all runs and checkpoints?", yes=given.yes):
        out.say("Nothing was deleted.")
        return 1
    counts = delete_for_operator(found, by=operator())
    if out.as_json:
        out.object(deleted=counts)
    else:
        out.line(
            "Deleted "
            + ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items())
            + "."
        )
    return 0
