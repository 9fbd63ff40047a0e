"""Runs in the admin: view them, cancel and reconcile them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.admin.actions import RunActions
from runs.admin.display import (
    LIST_DEFER,
    assistant_link,
    duration,
    options,
    queue_wait,
    run_badge,
    runs_link,
    tokens,
    worker_link,
)
from runs.admin.filters import ErrorFilter, RunCreatedFilter, ThreadFilter
from runs.admin.rights import note_reading
from runs.admin.run_list import live, pages
from runs.admin.run_list.changes import Conditions, RunChangeList
from runs.admin.run_list.columns import DEFAULT, columns
from runs.admin.run_list.facets import (
    AssistantFacet,
    GraphFacet,
    QueueFacet,
    StatusFacet,
    UserFacet,
    WorkerFacet,
)
from runs.admin.run_page import views
from runs.admin.run_search.matching import matching
from runs.admin.run_search.terms import QUALIFIERS, UnknownTerm, parsed
from runs.models import Run
from threads.admin.base import ReadOnlyAdmin, column
from threads.display import EMPTY, ago, excerpt, link, moment, pretty, short_id


@admin.register(Run)
class RunAdmin(RunActions, ReadOnlyAdmin):
    list_display = DEFAULT
    list_display_links = ("short",)
    list_filter = (
        StatusFacet,
        RunCreatedFilter,
        GraphFacet,
        AssistantFacet,
        QueueFacet,
        WorkerFacet,
        UserFacet,
        ErrorFilter,
        ThreadFilter,
    )
    list_select_related = ("assistant", "worker", "user")
    list_defer = LIST_DEFER
    ordering = ("-id",)
    sortable_by = ()
    search_help_text = f"Ids, also short ones, a username, or conditions: {', '.join(QUALIFIERS.values())}."
    fieldsets = (
        (
            None,
            {"fields": (("state", "attempts"), "id", "thread_page", "assistant_page", "user", "error_json")},
        ),
        ("Time", {"fields": (("created_full", "due"), ("started_full", "finished_full"), ("wait", "took"))}),
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

    short = column("id", short_id, "run")
    created = column("created_at", ago, "created")
    started = column("started_at", ago, "started")
    finished = column("finished_at", ago, "finished")
    error_excerpt = column("error", excerpt, "error")
    created_full = column("created_at", moment, "created")
    due = column("due_at", moment, "due")
    started_full = column("started_at", moment, "started")
    finished_full = column("finished_at", moment, "finished")
    error_json = column("error", pretty, "error")
    input_json = column("kwargs", lambda kwargs: pretty(kwargs.get("input")), "input")
    command_json = column("kwargs", lambda kwargs: pretty(kwargs.get("command")), "command")
    options_json = column("kwargs", lambda kwargs: pretty(options(kwargs)), "options")
    metadata_json = column("metadata", pretty, "metadata")
    base_json = column("base", pretty, "checkpoint")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("assistant", "worker", "user")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RunChangeList]:
        return Conditions if getattr(request, live.CONDITIONS, False) else RunChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """All conditions must hold. What cannot be understood is said above an empty list."""
        try:
            terms = parsed(search_term)
            found = matching(queryset, terms, reads=self.reads_payloads(request))
        except UnknownTerm as error:
            self.message_user(request, str(error), messages.ERROR)
            return queryset.none(), False
        if found.bound is not None:
            self.message_user(request, f"Searched among the newest {found.bound:,} runs.", messages.INFO)
        return found.rows, False

    @admin.display(description="status")
    def state(self, run: Run) -> SafeString:
        return run_badge(run)

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [*views.urls(wrap), *pages.urls(wrap), *live.urls(self, wrap), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        kept = pages.context(request) if self.has_view_permission(request) else {}
        return super().changelist_view(request, {"title": "Runs", "run_list": kept, **(extra_context or {})})

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return columns(request)

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
            runs_link("thread", run.thread_id),
        )

    @admin.display(description="user")
    def username(self, run: Run) -> SafeString:
        """The user, with a link to all their runs."""
        name = run.user.get_username()
        return format_html('<a href="?{}" title="{}">{}</a>', urlencode({"user": name}), name, name)

    @admin.display(description="graph")
    def graph(self, run: Run) -> str:
        return run.assistant.graph_id

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
