"""Tables of the admin's pages that no inline can show: bounded, and events have no key of a single column."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import template
from django.db.models.functions import Left
from django.utils.html import format_html

from runs.admin.display import LIST_DEFER, assistant_link, duration, queue_wait
from runs.events.deltas import base_of
from runs.models import Attempt, Run, RunEvent, Worker
from runs.protocols.agent.items import PACK, modes_in
from threads.display import ago, badge, excerpt, instant, link, span

register = template.Library()

MAX_EVENTS, MAX_RUNS = 200, 50
#: How long before a worker's start runs were created that its page still finds.
BEFORE = timedelta(days=1)
#: Characters of an event that its row shows.
DATA_LIMIT, NAME_LIMIT = 300, 100


@register.inclusion_tag("admin/runs/table.html")
def events_table(run: Run) -> dict[str, Any]:
    """The last events of a run, in their order."""
    rows = (
        RunEvent.objects.filter(run_id=run.pk)
        .order_by("-epoch", "-seq")
        .annotate(name=Left("event", NAME_LIMIT), start=Left("data", DATA_LIMIT + 1))
        .values_list("epoch", "seq", "name", "start", "created_at")[:MAX_EVENTS]
    )
    shown = [
        (
            f"{epoch}-{seq}",
            _named(name, start),
            format_html("<code>{}</code>", _cut(start)),
            instant(created_at),
        )
        for epoch, seq, name, start, created_at in reversed(rows)
    ]
    return {
        "title": "Events",
        "note": f"The last {MAX_EVENTS}." if len(shown) == MAX_EVENTS else "",
        "headers": ("Id", "Event", "Data", "Time"),
        "rows": shown,
        "css_class": "events",
    }


def _named(name: str, start: str) -> str:
    """What people read as an event's name; items of no requested mode share a row."""
    if name != PACK:
        return name
    if base_of(start) is not None:
        return "packed: …"
    modes = [*modes_in(start), *(["…"] if len(start) > DATA_LIMIT else [])]
    return f"packed: {', '.join(modes)}"


def _cut(data: str) -> str:
    if (base := base_of(data)) is not None:
        return f"Like event {base} of the attempt, but {data.partition(' ')[2]}"[:DATA_LIMIT] + "…"
    return data if len(data) <= DATA_LIMIT else data[:DATA_LIMIT] + "…"


@register.inclusion_tag("admin/runs/table.html")
def runs_table(runs: Any, title: str = "Runs") -> dict[str, Any]:
    """The newest runs of a thread or a worker."""
    rows = runs.select_related("assistant").defer(*LIST_DEFER).order_by("-created_at")[:MAX_RUNS]
    shown = [
        (
            badge(run.status),
            link("runs_run", run.id),
            assistant_link(run.assistant),
            ago(run.created_at),
            queue_wait(run),
            duration(run),
            run.attempt,
            excerpt(run.error),
        )
        for run in rows
    ]
    return {
        "title": title,
        "note": f"The last {MAX_RUNS}." if len(shown) == MAX_RUNS else "",
        "headers": ("Status", "Run", "Assistant", "Created", "Queue wait", "Duration", "Attempt", "Error"),
        "rows": shown,
        "css_class": "runs",
    }


@register.inclusion_tag("admin/runs/table.html")
def attempts_table(worker: Worker) -> dict[str, Any]:
    """The last attempts of a worker: what it executed, and how that ended.

    Of runs that were created in its time, or up to `BEFORE` earlier: their ids begin with the time, so
    that the attempts of others are not read.
    """
    last = worker.stopped_at or worker.heartbeat_at
    rows = Attempt.objects.filter(
        worker_id=worker.id,
        ended_at__isnull=False,
        run_id__gte=UUID(int=_milliseconds(worker.started_at - BEFORE) << 80),
        run_id__lt=UUID(int=(_milliseconds(last) + 1000) << 80),
    )
    shown = [
        (
            badge(each.reason or "running"),
            link("runs_run", each.run_id),
            each.number,
            ago(each.began_at),
            span(each.began_at, each.ended_at),
        )
        for each in rows.order_by("-run_id", "-number")[:MAX_RUNS]
    ]
    return {
        "title": "What it ran",
        "note": f"The last {MAX_RUNS}." if len(shown) == MAX_RUNS else "",
        "headers": ("Ended", "Run", "Attempt", "Began", "Took"),
        "rows": shown,
        "css_class": "runs",
    }


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
