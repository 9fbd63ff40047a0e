"""Threads in the admin, with what only this application knows of them: runs, states, and their users' data."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.admin.rights import DELETE_THREADS
from runs.admin.thread_page import conversations
from runs.admin.thread_page.histories import Histories
from runs.admin.thread_page.people import People
from runs.admin.thread_page.removals import removed_runs
from runs.lifecycle.records import Operator
from runs.retention.thread_deletion import delete_for_operator
from threads.admin.base import column
from threads.admin.threads import ThreadAdmin as PlainThreadAdmin
from threads.models import Thread

#: Maximum threads of one action, because the operator waits for the page.
LIMIT = 100


@admin.register(Thread)
class ThreadAdmin(PlainThreadAdmin):
    change_form_template = "admin/threads/thread/change_form.html"
    actions = ("remove_threads",)
    fieldsets: ClassVar[Any] = (
        (None, {"fields": (("state", "epoch"), "id", "graph", "owner", "error_json")}),
        ("Time", {"fields": (("created_full", "updated_full"), ("state_updated", "discarded"), "expiry")}),
        ("Removed runs", {"fields": ("removals",)}),
        ("Conversation", {"fields": ("questions", "said")}),
        ("All values", {"fields": ("values_json",), "classes": ("collapse",)}),
        ("Settings", {"fields": ("metadata_json", "config_json"), "classes": ("collapse",)}),
    )
    payload_fieldsets = frozenset({"Conversation", "All values", "Settings"})

    removals = column("id", removed_runs, "rolled back and deleted")
    questions = column("interrupts", conversations.questions, "waiting questions")
    said = column("values", conversations.messages, "messages")

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [*People(self).urls(wrap), *Histories(self).urls(wrap), *super().get_urls()]

    @admin.display(description="user")
    def owner(self, thread: Thread) -> SafeString:
        url = reverse("admin:threads_thread_person", args=[thread.user_id])
        return format_html('<a href="{}">{}</a>', url, thread.user)

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(DELETE_THREADS))  # type: ignore[union-attr]

    @admin.action(description="Delete with runs and checkpoints", permissions=["remove"])
    def remove_threads(self, request: HttpRequest, queryset: QuerySet[Thread]) -> HttpResponse | None:
        found = list(queryset.filter(discarded_at=None).defer("values")[:LIMIT])
        if found and "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Delete threads?",
                "opts": self.opts,
                "rows": found,
                "limit": LIMIT,
                "checkbox": ACTION_CHECKBOX_NAME,
                "media": self.media,
            }
            return TemplateResponse(request, "admin/runs/thread/remove_confirmation.html", context)
        user: Any = request.user
        if found:
            LogEntry.objects.log_actions(user.pk, found, DELETION, "Deleted with runs and checkpoints.")
        counted = delete_for_operator(found, by=Operator(str(user), "admin", user.pk))
        what = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in counted.items() if count)
        level = messages.SUCCESS if found else messages.WARNING
        self.message_user(request, f"Deleted {what}." if what else "Nothing was deleted.", level)
        return None
