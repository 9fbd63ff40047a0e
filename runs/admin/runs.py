"""Runs, workers and assistants in the admin: view them, and cancel and reconcile runs."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.admin.actions import RunActions
from runs.admin.display import (
    LIST_DEFER,
    assistant_link,
    duration,
    options,
    queue_wait,
    tokens,
    worker_link,
    worker_state,
)
from runs.admin.filters import (
    AssistantFilter,
    DeletedFilter,
    ErrorFilter,
    GraphFilter,
    RunCreatedFilter,
    StatusFilter,
    ThreadFilter,
    WorkerFilter,
    WorkerStateFilter,
)
from runs.admin.readings import note_reading
from runs.admin.run_page import views
from runs.models import Assistant, Run, RunStatus, Worker
from threads.admin.base import BY_USERNAME, CreatedFilter, ReadOnlyAdmin, column
from threads.display import EMPTY, ago, badge, excerpt, link, moment, pretty, short_id, without_secrets


@admin.register(Run)
class RunAdmin(RunActions, ReadOnlyAdmin):
    list_display = (
        "state", "short", "thread_link", "assistant_link", "created", "wait", "took", "attempt", "tokens",
        "executed_by", "error_excerpt",
    )  # fmt: skip
    list_display_links = ("short",)
    list_filter = (
        StatusFilter,
        GraphFilter,
        WorkerFilter,
        ErrorFilter,
        RunCreatedFilter,
        ThreadFilter,
        AssistantFilter,
    )
    list_select_related = ("assistant", "worker")
    list_defer = LIST_DEFER
    ordering = ("-id",)
    sortable_by = ()
    search_ids = ("pk", "thread")
    search_texts = (BY_USERNAME,)
    search_help_text = "Full id of a run or of a thread (or several), or a username."
    fieldsets = (
        (
            None,
            {"fields": (("state", "attempts"), "id", "thread_page", "assistant_page", "user", "error_json")},
        ),
        ("Time", {"fields": (("created_full", "due"), ("started", "finished"), ("wait", "took"))}),
        (
            "Execution",
            {
                "fields": (
                    ("queue", "priority"),
                    ("executed_by", "recovers"),
                    ("cancel", "tokens"),
                    ("epoch", "event_count"),
                )
            },
        ),
        ("Request", {"fields": ("input_json", "command_json", "options_json", "metadata_json")}),
        ("Checkpoint before the run", {"fields": ("base_json",), "classes": ("collapse",)}),
    )
    payload_fieldsets = frozenset({"Request", "Checkpoint before the run"})

    state = column("status", badge, "status")
    short = column("id", short_id, "run")
    created = column("created_at", ago, "created")
    error_excerpt = column("error", excerpt, "error")
    created_full = column("created_at", moment, "created")
    due = column("due_at", moment, "due")
    started = column("started_at", moment, "started")
    finished = column("finished_at", moment, "finished")
    error_json = column("error", pretty, "error")
    input_json = column("kwargs", lambda kwargs: pretty(kwargs.get("input")), "input")
    command_json = column("kwargs", lambda kwargs: pretty(kwargs.get("command")), "command")
    options_json = column("kwargs", lambda kwargs: pretty(options(kwargs)), "options")
    metadata_json = column("metadata", pretty, "metadata")
    base_json = column("base", pretty, "checkpoint")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("assistant", "worker")

    def get_urls(self) -> list[Any]:
        return [*views.urls(self.admin_site.admin_view), *super().get_urls()]

    def note_reading(self, request: HttpRequest, row: Any) -> None:
        note_reading(row, request.user)

    @admin.display(description="thread")
    def thread_link(self, run: Run) -> str:
        return link("threads_thread", run.thread_id)

    @admin.display(description="thread")
    def thread_page(self, run: Run) -> SafeString:
        return format_html(
            "{} ({})",
            link("threads_thread", run.thread_id, str(run.thread_id)),
            _runs("thread", run.thread_id),
        )

    @admin.display(description="assistant")
    def assistant_link(self, run: Run) -> str:
        return assistant_link(run.assistant)

    @admin.display(description="assistant")
    def assistant_page(self, run: Run) -> SafeString:
        return format_html("{} (graph {})", self.assistant_link(run), run.assistant.graph_id)

    @admin.display(description="queue wait")
    def wait(self, run: Run) -> str:
        return queue_wait(run)

    @admin.display(description="duration")
    def took(self, run: Run) -> str:
        return duration(run)

    @admin.display(description="tokens in / out")
    def tokens(self, run: Run) -> str:
        return tokens(run)

    @admin.display(description="worker")
    def executed_by(self, run: Run) -> str:
        return worker_link(run)

    @admin.display(description="attempts")
    def attempts(self, run: Run) -> str:
        return f"{run.attempt}, {run.lost_attempts} of them lost" if run.lost_attempts else str(run.attempt)

    @admin.display(description="recovery")
    def recovers(self, run: Run) -> str:
        return run.recovery or "as the site's policy says"

    @admin.display(description="cancel requested")
    def cancel(self, run: Run) -> SafeString | str:
        if not run.cancel_action:
            return EMPTY
        return format_html("{}, {}", run.cancel_action, moment(run.cancel_requested_at))


def _runs(parameter: str, pk: UUID) -> SafeString:
    return format_html(
        '<a href="{}?{}={}">all its runs</a>', reverse("admin:runs_run_changelist"), parameter, pk
    )


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = (
        "state",
        "short",
        "host",
        "pid",
        "version",
        "executing",
        "started",
        "heartbeat",
        "lease",
        "stopped",
    )
    list_display_links = ("short",)
    list_filter = (WorkerStateFilter,)
    ordering = ("-id",)
    sortable_by = ("host", "started")
    search_texts = ("host__icontains",)
    search_help_text = "Full id of a worker (or several), or part of its host's name."
    fieldsets = (
        (None, {"fields": ("state", "id", "host", "pid", "version", "executing", "serves")}),
        ("Time", {"fields": ("started_full", "heartbeat_full", "lease_full", "stopped_full")}),
    )

    short = column("id", short_id, "worker")
    started = column("started_at", ago, "started", ordering="id")
    heartbeat = column("heartbeat_at", ago, "heartbeat")
    lease = column("lease_expires_at", ago, "lease ends")
    stopped = column("stopped_at", ago, "stopped")
    started_full = column("started_at", moment, "started")
    heartbeat_full = column("heartbeat_at", moment, "heartbeat")
    lease_full = column("lease_expires_at", moment, "lease ends")
    stopped_full = column("stopped_at", moment, "stopped")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        running = Count("runs", filter=Q(runs__status=RunStatus.RUNNING))
        return cast("QuerySet[Any]", super().get_queryset(request).annotate(running=running))

    @admin.display(description="state")
    def state(self, worker: Worker) -> str:
        return badge(worker_state(worker))

    @admin.display(description="queues")
    def serves(self, worker: Worker) -> str:
        return "all" if worker.queues is None else ", ".join(worker.queues)

    @admin.display(description="executing")
    def executing(self, worker: Any) -> str:
        return f"{worker.running} of {worker.concurrency}"


@admin.register(Assistant)
class AssistantAdmin(ReadOnlyAdmin):
    list_display = ("name", "short", "graph_id", "version", "owner", "created", "updated", "deleted")
    list_select_related = ("user",)
    list_defer = ("config", "context", "metadata", "description")
    list_filter = (GraphFilter, DeletedFilter, CreatedFilter)
    ordering = ("-created_at", "-id")
    sortable_by = ("name", "graph_id", "created")
    search_texts = ("name__icontains", "graph_id__icontains", BY_USERNAME)
    search_help_text = "Full id of an assistant (or several), part of its name or its graph's, or a username."
    fieldsets = (
        (None, {"fields": ("name", "id", "graph_id", "description", "version", "owner", "its_runs")}),
        ("Time", {"fields": ("created_full", "updated_full", "deleted_full")}),
        ("Configuration", {"fields": ("config_json", "context_json", "metadata_json")}),
    )

    short = column("id", short_id, "assistant")
    created = column("created_at", ago, "created", ordering="created_at")
    updated = column("updated_at", ago, "updated")
    created_full = column("created_at", moment, "created")
    updated_full = column("updated_at", moment, "updated")
    deleted = column("deleted_at", ago, "deleted")
    deleted_full = column("deleted_at", moment, "deleted")
    config_json = column("config", without_secrets, "config")
    context_json = column("context", without_secrets, "context")
    metadata_json = column("metadata", pretty, "metadata")
    owner = column("user", lambda user: str(user or "system"), "user")
    its_runs = column("id", lambda pk: _runs("assistant", pk), "runs")
