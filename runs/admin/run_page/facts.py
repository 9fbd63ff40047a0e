"""The head of a run's page: what it is, how it stands, its attempts, and what can be done."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse

from runs.admin.run_page.reading import milliseconds
from runs.execution import tracing
from runs.lifecycle.operators import costs
from runs.lifecycle.operators.asking import asking_run
from runs.lifecycle.operators.offers import offers
from runs.lifecycle.operators.operations import IMPORTED, standing
from runs.models import Attempt, Run, RunAction, Worker
from threads.db import clock
from threads.models import Thread
from threads.redaction import redacted

#: The most rows of each list.
MOST = 100
#: The kinds of records with which a run begins that a person asked for.
BEGINNINGS = ("retry", "fork", "replay", "rerun", "answer", "fire")
NOT_ALLOWED = "you may not operate runs"


def facts(run: Run, thread: Thread | None, *, operates: bool, reads: bool) -> dict[str, Any]:
    """The facts of a run as JSON.

    Args:
        operates: Whether the person may act on runs.
        reads: Whether the person may read inputs, outputs and errors in detail.
    """
    asking = asking_run(thread)
    return {
        "id": str(run.id),
        "status": run.status,
        "cancel": run.cancel_action,
        "times": {
            name: milliseconds(value) if (value := getattr(run, f"{name}_at")) is not None else None
            for name in ("created", "due", "started", "finished")
        },
        "now": milliseconds(clock.now()),
        "assistant": {
            "name": run.assistant.name,
            "graph": run.graph_id,
            "version": run.assistant.version,
            "url": page("assistant", run.assistant_id),
        },
        "thread": {
            "id": str(run.thread_id),
            "title": _title(thread) if reads else "",
            "url": _thread_page(thread),
        },
        "by": _asked_by(run),
        "tokens": [run.input_tokens, run.output_tokens],
        "usage": _usage(run),
        "queue": run.queue,
        "priority": run.priority,
        "trace": tracing.trace_url(run.id) if reads else None,
        "error": run.error,
        "failure": run.failure if reads else None,
        "attempts": attempts(run),
        "actions": {name: _why(why, operates) for name, why in offers(standing(run, thread)).items()},
        "records": records(run),
        "parent": _related(Run.objects.filter(id=run.parent_id))[:1] if run.parent_id else [],
        "children": _related(Run.objects.filter(parent=run.id)),
        "others": _related(Run.objects.filter(thread=run.thread_id).exclude(id=run.id)),
        "questions": _questions(thread) if operates and reads and asking == run.id else [],
        "asking": page("run", asking) if asking not in (None, run.id) else None,
        "reads": reads,
        "imported": thread is not None and thread.metadata.get(IMPORTED) == str(run.id),
        "import": reverse("admin:runs_run_import") if operates and reads else None,
    }


def _usage(run: Run) -> dict[str, Any]:
    """The tokens of each model, and what they cost; no cost without prices."""
    found = costs.cost(run.usage)
    return {
        "models": [
            {"name": use.model, "input": use.input, "output": use.output}
            for use in costs.by_model([run.usage])
        ],
        "cost": costs.shown(found.amount) if found else None,
        # Of an attempt that was lost, the calls are unknown that its log does not have.
        "atLeast": bool(run.lost_attempts),
        "unpriced": found.unpriced if found else [],
    }


def attempts(run: Run) -> list[dict[str, Any]]:
    """The run's attempts, the first one first."""
    found = list(Attempt.objects.filter(run_id=run.id).order_by("number")[:MOST])
    known = set(Worker.objects.filter(id__in=[each.worker_id for each in found]).values_list("id", flat=True))
    return [
        {
            "number": each.number,
            "process": f"{each.host}:{each.pid}",
            "url": page("worker", each.worker_id) if each.worker_id in known else None,
            "began": milliseconds(each.began_at),
            "ended": milliseconds(each.ended_at) if each.ended_at else None,
            "reason": each.reason,
        }
        for each in found
    ]


def records(run: Run) -> list[dict[str, Any]]:
    """What people asked of the run, the newest first."""
    found = RunAction.objects.filter(run_id=run.id).exclude(kind=RunAction.TRACED).order_by("-id")[:MOST]
    return [
        {
            "kind": each.kind,
            "who": each.who,
            "origin": each.origin,
            "reason": each.reason,
            "outcome": each.outcome,
            "at": milliseconds(each.created_at),
            "url": page("run", each.detail["run"]) if each.detail.get("run") else None,
        }
        for each in found
    ]


def page(model: str, pk: UUID | str | None) -> str:
    return reverse(f"admin:runs_{model}_change", args=[pk])


def _thread_page(thread: Thread | None) -> str | None:
    return None if thread is None else reverse("admin:threads_thread_change", args=[thread.id])


def _title(thread: Thread | None) -> str:
    title = thread.metadata.get("title") if thread is not None else None
    return title if isinstance(title, str) else ""


def _asked_by(run: Run) -> dict[str, Any]:
    """Who asked for the run, and from where."""
    # A record of its own that says where it came from; those of what it became name the new run.
    first = RunAction.objects.filter(run_id=run.id, kind__in=BEGINNINGS).order_by("id").first()
    if first is not None and first.outcome.startswith("from "):
        return {"kind": first.origin, "name": first.who, "for": str(run.user)}
    if run.metadata.get("cron_id"):
        return {"kind": "cron", "name": str(run.user)}
    if asked_by := run.asked_by:
        kind, name = asked_by["by"], asked_by.get("name", "")
        return {"kind": f"{kind} {name}".strip(), "name": str(run.user)}
    return {"kind": "user", "name": str(run.user)}


def _related(runs: Any) -> list[dict[str, Any]]:
    rows = runs.order_by("-created_at").values_list("id", "status", "created_at")[:20]
    return [
        {"id": str(run_id), "status": status, "at": milliseconds(created), "url": page("run", run_id)}
        for run_id, status, created in rows
    ]


def _questions(thread: Thread | None) -> list[dict[str, Any]]:
    asked = thread.interrupts.values() if thread is not None else ()
    return [{"id": each["id"], "value": redacted(each.get("value"))} for found in asked for each in found]


def _why(why: str, operates: bool) -> str:
    return why if operates else NOT_ALLOWED
