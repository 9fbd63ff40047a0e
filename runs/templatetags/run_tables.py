"""Tables of the admin's pages that no inline can show: bounded, and events have no key of a single column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from runs.admin.display import LIST_DEFER, assistant_link, duration, queue_wait
from runs.admin.run_page import logs
from runs.models import Assistant, Attempt, Cron, Run, Worker
from runs.models.assistant_version import DEFINITION
from runs.protocols.differences import differences
from threads.display import EMPTY, ago, badge, excerpt, instant, link, span
from threads.redaction import redacted

register = template.Library()

MAX_RUNS = 50
#: Among how many runs of its assistant a cron's page looks for those of the cron.
SEARCHED = 1000
#: How long before a worker's start runs were created that its page still finds.
BEFORE = timedelta(days=1)


@register.inclusion_tag("admin/runs/table.html")
def events_table(run: Run) -> dict[str, Any]:
    """The last lines of a run's log, in their order, as its page shows them."""
    found = logs.page(run.pk)
    shown = [(line["id"], line["kind"], line["text"], _time_of(line["at"])) for line in found["lines"]]
    return {
        "title": "Events",
        "note": f"The last {len(shown)}." if found["more"] else "",
        "headers": ("Id", "Kind", "What happened", "Time"),
        "rows": shown,
        "css_class": "events",
    }


def _time_of(milliseconds: int) -> SafeString:
    return instant(datetime.fromtimestamp(milliseconds / 1000, UTC))


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
def cron_runs_table(cron: Cron) -> dict[str, Any]:
    """The last runs of a cron, among its assistant's last ones: no index has the crons of runs."""
    recent = Run.objects.filter(assistant=cron.assistant_id).order_by("-id").values("id")[:SEARCHED]
    return runs_table(Run.objects.filter(id__in=recent, metadata__cron_id=str(cron.id)), "Its last runs")


@register.inclusion_tag("admin/runs/table.html")
def versions_table(assistant: Assistant) -> dict[str, Any]:
    """The last versions of an assistant, with what each changed."""
    found = list(assistant.versions.order_by("-version")[: MAX_RUNS + 1])
    definitions = [redacted({name: getattr(each, name) for name in DEFINITION}) for each in found] + [{}]
    shown = [
        (
            f"{each.version} (present)" if each.version == assistant.version else each.version,
            ago(each.created_at),
            _changed(
                differences(definitions[place + 1], definitions[place]) if place + 1 < len(found) else None
            ),
        )
        for place, each in enumerate(found[:MAX_RUNS])
    ]
    return {
        "title": "Versions",
        "note": f"The last {MAX_RUNS}." if len(found) > MAX_RUNS else "",
        "headers": ("Version", "Created", "Changed"),
        "rows": shown,
        "css_class": "versions",
    }


def _changed(changes: list[dict[str, Any]] | None) -> SafeString | str:
    """Differences of a version to the one before, as lines."""
    if changes is None:
        return "The first version"
    rows = [
        (change["key"], part["before"] or EMPTY, part["after"] or EMPTY)
        for change in changes
        for part in change.get("items") or [change]
    ]
    lines = "<div><b>{}</b>: <del>{}</del> → <ins>{}</ins></div>"
    return format_html_join("", lines, rows) or "Nothing"


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
