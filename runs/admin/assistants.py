"""Assistants in the admin."""

from __future__ import annotations

from django.contrib import admin

from runs.admin.display import runs_link
from runs.admin.filters import DeletedFilter, GraphFilter
from runs.models import Assistant
from threads.admin.base import BY_USERNAME, CreatedFilter, ReadOnlyAdmin, column
from threads.display import ago, moment, pretty, short_id, without_secrets


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
    its_runs = column("id", lambda pk: runs_link("assistant", pk), "runs")
