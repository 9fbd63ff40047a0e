"""Threads in the admin, read-only."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from threads.admin.base import BY_USERNAME, ChoiceFilter, CreatedFilter, ReadOnlyAdmin, column
from threads.display import EMPTY, ago, badge, excerpt, moment, pretty, short_id
from threads.models import ThreadStatus


class ThreadStatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return ThreadStatus.choices

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(status=value)


class ThreadAdmin(ReadOnlyAdmin):
    list_display = ("state", "short", "graph", "user", "created", "updated", "error_excerpt")
    list_display_links = ("short",)
    list_filter = (ThreadStatusFilter, CreatedFilter)
    list_select_related = ("user",)
    list_defer = ("values", "interrupts", "config", "metadata")
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_texts = (BY_USERNAME,)
    search_help_text = "Full id of a thread (or several), or a username."
    fieldsets: ClassVar[Any] = (
        (None, {"fields": (("state", "epoch"), "id", "graph", "user", "error_json")}),
        ("Time", {"fields": (("created_full", "updated_full"), ("state_updated", "discarded"), "expiry")}),
        ("State", {"fields": ("interrupts_json", "values_json")}),
        ("Settings", {"fields": ("metadata_json", "config_json")}),
    )

    payload_fieldsets = frozenset({"State", "Settings"})

    state = column("status", badge, "status")
    short = column("id", short_id, "thread")
    created = column("created_at", ago, "created")
    updated = column("updated_at", ago, "updated")
    error_excerpt = column("error", excerpt, "error")
    created_full = column("created_at", moment, "created")
    updated_full = column("updated_at", moment, "updated")
    state_updated = column("state_updated_at", moment, "state updated")
    discarded = column("discarded_at", moment, "discarded")
    error_json = column("error", pretty, "error")
    interrupts_json = column("interrupts", pretty, "waiting questions")
    values_json = column("values", pretty, "values")
    metadata_json = column("metadata", pretty, "metadata")
    config_json = column("config", pretty, "config")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        threads: Any = super().get_queryset(request)
        return cast("QuerySet[Any]", threads.annotate(graph_id=KT("metadata__graph_id")))

    @admin.display(description="expires")
    def expiry(self, thread: Any) -> SafeString | str:
        if thread.expires_at is None:
            return EMPTY
        return format_html("{} ({})", moment(thread.expires_at), thread.ttl_strategy)

    @admin.display(description="graph")
    def graph(self, thread: Any) -> str:
        return thread.graph_id or EMPTY
