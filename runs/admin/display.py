"""Facts about a run and an assistant as the admin's pages show them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.models import Assistant, Run, RunStatus
from threads.db import clock
from threads.display import EMPTY, badge, link, seconds, span

#: Large columns of a run and of its assistant, which lists do not show.
LIST_DEFER = (
    "kwargs", "metadata", "base", "failure", "usage", "assistant__config", "assistant__context", "assistant__metadata",
    "assistant__description", "user__password",
)  # fmt: skip


def run_badge(run: Run) -> SafeString:
    """The status of a run. The list marks those that wait for a person, which ended in `success`."""
    if getattr(run, "waits", False):
        return format_html('<span title="Waits for a person">{}</span>', badge("waiting", "asks"))
    if run.status == RunStatus.INTERRUPTED:
        # Without a request it was stopped by a shutdown.
        return badge("cancelled", "cancelled" if run.cancel_action else "stopped")
    return badge(run.status)


def queue_wait(run: Run) -> str:
    """The time from when the run was due until it first began, or ended without beginning."""
    end = run.started_at or run.finished_at
    ahead = (run.due_at - clock.now()).total_seconds()
    return f"due in {seconds(ahead)}" if end is None and ahead > 0 else span(run.due_at, end)


def duration(run: Run) -> str:
    """The time from the first start to the end, including waits between attempts."""
    return span(run.started_at, run.finished_at)


def tokens(run: Run) -> str:
    """Input and output tokens."""
    return f"{run.input_tokens:,} / {run.output_tokens:,}" if run.input_tokens or run.output_tokens else EMPTY


def assistant_link(assistant: Assistant) -> str:
    """An assistant, and whether its user has deleted it."""
    name = assistant.name if assistant.deleted_at is None else f"{assistant.name} (deleted)"
    return link("runs_assistant", assistant.pk, name)


def worker_link(run: Run) -> str:
    """The process that executes the run."""
    return EMPTY if run.worker is None else link("runs_worker", run.worker_id, str(run.worker))


def options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The client's options other than the input; only those that were given."""
    return {name: value for name, value in kwargs.items() if name not in ("input", "command") and value}


def runs_link(parameter: str, pk: UUID) -> SafeString:
    """A link to all runs of a thread or an assistant."""
    return format_html(
        '<a href="{}?{}={}">all its runs</a>', reverse("admin:runs_run_changelist"), parameter, pk
    )
