"""What people did with queues, workers and threads, in the admin: who, when, from where and why."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from runs.models import SiteAction
from threads.admin.base import ChoiceFilter, ReadOnlyAdmin, column
from threads.display import EMPTY, ago, moment
from threads.redaction import redacted_text

KINDS = {
    "pause": "paused a queue", "resume": "resumed a queue", "drain": "drained a worker", "delete": "deleted a thread",
}  # fmt: skip


class KindFilter(ChoiceFilter):
    title = "what"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(KINDS.items())

    def narrow(self, queryset: Any, value: str) -> Any:
        return queryset.filter(kind=value)


@admin.register(SiteAction)
class SiteActionAdmin(ReadOnlyAdmin):
    list_display = ("at", "who", "what", "subject", "origin", "why")
    list_filter = (KindFilter,)
    ordering = ("-id",)
    sortable_by = ()
    search_texts = ("who", "subject")
    search_help_text = "Whole name of a person, queue or worker, or the id of a thread."
    fieldsets = ((None, {"fields": ("at_full", "who", "origin", "what", "subject", "why")}),)

    at = column("created_at", ago, "when")
    at_full = column("created_at", moment, "when")
    what = column("kind", lambda kind: KINDS.get(kind, kind), "what")
    why = column("reason", lambda reason: redacted_text(reason) or EMPTY, "reason")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
