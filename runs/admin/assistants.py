"""Assistants in the admin."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.cache import never_cache

from runs.admin.display import runs_link
from runs.admin.filters import DeletedFilter, GraphFilter
from runs.admin.rights import missing, refused
from runs.admin.run_page.views import picture
from runs.models import Assistant
from threads.admin.base import BY_USERNAME, CreatedFilter, ReadOnlyAdmin, column
from threads.display import ago, moment, pretty, short_id


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
        (None, {"fields": ("name", "id", "graph_id", "version", "owner", "its_runs")}),
        ("Time", {"fields": ("created_full", "updated_full", "deleted_full")}),
        ("Configuration", {"fields": ("description", "config_json", "context_json", "metadata_json")}),
    )
    payload_fieldsets = frozenset({"Configuration"})

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        drawing = path(
            "<uuid:assistant_id>/graph/", wrap(never_cache(self.draw)), name="runs_assistant_graph"
        )
        return [drawing, *super().get_urls()]

    def draw(self, request: HttpRequest, assistant_id: UUID) -> HttpResponse:
        if lacking := missing(request, "runs.view_assistant"):
            return refused(lacking)
        return picture(request, get_object_or_404(Assistant, id=assistant_id))

    short = column("id", short_id, "assistant")
    created = column("created_at", ago, "created", ordering="created_at")
    updated = column("updated_at", ago, "updated")
    created_full = column("created_at", moment, "created")
    updated_full = column("updated_at", moment, "updated")
    deleted = column("deleted_at", ago, "deleted")
    deleted_full = column("deleted_at", moment, "deleted")
    config_json = column("config", pretty, "config")
    context_json = column("context", pretty, "context")
    metadata_json = column("metadata", pretty, "metadata")
    owner = column("user", lambda user: str(user or "system"), "user")
    its_runs = column("id", lambda pk: runs_link("assistant", pk), "runs")
