"""The measured pages, and their times and slowest statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.http import urlencode

from runs.models import Run, RunStatus, Worker
from threads.models import Thread

#: The bound of each page's 95th percentile, warm, in milliseconds.
BOUND = 300.0
WARM = 3

RUNS = "admin:runs_run_changelist"
#: By the title of a search, what a person types; `{...}` are facts of a run in the middle of the table.
SEARCHES = {
    "a whole id": "{id}",
    "a short id": "id:{short}",
    "a user": "user:user-17",
    "a user's failed runs": "user:user-17 status:error",
    "a node of failed runs": "status:error node:node-3",
    "metadata that one run has": "meta.ticket:{ticket}",
    "a word of an error": "error:timeout",
    "a word of an input": 'input:"ORD-17"',
    "nothing that is found": 'input:"no such text"',
    "runs that wait for a person": "status:waiting",
    "cancelled runs": "status:cancelled",
}
FILTERS = {
    "failed": {"status": "error"},
    "pending": {"status": "pending"},
    "timed out, of a graph": {"status": "timeout", "graph": "graph-3"},
    "of a graph": {"graph": "graph-3"},
    "without an error": {"has_error": "no"},
    "of a day": {"created": "24h"},
    "earlier than a week": {"created": "older"},
    "of a user": {"user": "user-17"},
    "of two users, failed": {"user__in": "user-17,user-18", "status": "error"},
}
LISTS = {
    "dashboard": "overview", "inbox": "waiting", "queues": "pausedqueue", "workers": "worker",
    "assistants": "assistant", "webhooks": "webhookdelivery", "crons": "cron", "bulk actions": "bulkaction",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    path: str


@dataclass(frozen=True, slots=True)
class Measured:
    page: Page
    #: Milliseconds.
    p50: float
    p95: float
    statements: int
    #: The slowest statement, and how long it took, in milliseconds.
    slowest: str
    slowest_took: float

    @property
    def within(self) -> bool:
        return self.p95 <= BOUND


def pages() -> Iterator[Page]:
    """All pages, of the rows that there are."""
    middle = Run.objects.order_by("id")[Run.objects.count() // 2]
    failed = Run.objects.filter(status=RunStatus.ERROR).latest("id")
    large = Run.objects.filter(status=RunStatus.SUCCESS).latest("id")
    serving = Worker.objects.filter(stopped_at=None).latest("id")
    facts = {
        "id": str(middle.id), "short": middle.id.hex[:12],
        "ticket": middle.metadata["ticket"],
    }  # fmt: skip
    yield Page("run list", reverse(RUNS))
    yield Page("run list, page 50", f"{reverse(RUNS)}?p=50")
    for title, chosen in FILTERS.items():
        query = urlencode({name: value.format(**facts) for name, value in chosen.items()})
        yield Page(f"run list, {title}", f"{reverse(RUNS)}?{query}")
    for title, text in SEARCHES.items():
        yield Page(f"search, {title}", f"{reverse(RUNS)}?{urlencode({'q': text.format(**facts)})}")
    for title, model in LISTS.items():
        yield Page(title, reverse(f"admin:runs_{model}_changelist"))
    yield Page("costs by day", reverse("admin:runs_overview_spending"))
    yield Page("thread list", reverse("admin:threads_thread_changelist"))
    yield Page("thread page", reverse("admin:threads_thread_change", args=[middle.thread_id]))
    yield Page("worker page", reverse("admin:runs_worker_change", args=[serving.id]))
    for title, run in (("run page", failed), ("run page of 10,000 events", large)):
        yield Page(title, reverse("admin:runs_run_change", args=[run.id]))
        for part in ("facts", "spans", "events"):
            yield Page(f"{title}: {part}", reverse(f"admin:runs_run_page_{part}", args=[run.id]))
    thread = Thread.objects.filter(status="interrupted").latest("id")
    yield Page("thread page that waits", reverse("admin:threads_thread_change", args=[thread.id]))


def measure(client: Client, page: Page, samples: int) -> Measured:
    """Request a page repeatedly. Raises RuntimeError if it does not answer with 200."""
    taken = []
    for number in range(WARM + samples):
        began = time.perf_counter()
        answer: Any = client.get(page.path)
        if answer.status_code != 200:
            raise RuntimeError(f"{page.path} answered {answer.status_code}.")
        if number >= WARM:
            taken.append((time.perf_counter() - began) * 1000)
    with CaptureQueriesContext(connection) as captured:
        client.get(page.path)
    slowest = max(captured.captured_queries, key=lambda each: float(each["time"]))
    p95 = quantiles(taken, n=100, method="inclusive")[94]
    return Measured(
        page, median(taken), p95, len(captured), slowest["sql"], float(slowest["time"]) * 1000
    )  # fmt: skip


def explained(statement: str) -> list[str]:
    """The plan of a statement, executed."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}")
        return [str(row[0]) for row in cursor.fetchall()]
