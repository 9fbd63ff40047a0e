"""The inbox: every question that waits for a person, the oldest first, answered in place."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.rights import OPERATE, READ, VIEW_THREADS, note_readings, refused
from runs.admin.run_page.facts import page
from runs.admin.run_page.reading import milliseconds
from runs.admin.run_page.views import answered
from runs.models import Run, Waiting
from threads.admin.base import ReadOnlyAdmin
from threads.db import clock
from threads.models import ThreadStatus
from threads.redaction import redacted

#: The most threads of the page.
MOST = 50


def waiting() -> list[Any]:
    """The threads that wait for an answer, the oldest first, with the id of the `asking` run of each."""
    newest = Run.objects.filter(thread=OuterRef("pk")).order_by("-created_at").values("id")[:1]
    found = (
        Waiting.objects.visible()
        .filter(status=ThreadStatus.INTERRUPTED)
        .exclude(interrupts={})
        .select_related("user")
        .only("id", "interrupts", "metadata", "state_updated_at", "user")
        .annotate(asking=Subquery(newest))
        .order_by("state_updated_at", "id")
    )
    return list(found[: MOST + 1])


def item(thread: Any, run: Run, *, reads: bool) -> dict[str, Any]:
    """A waiting thread as JSON; its questions only for those who may read them."""
    asked = [each for questions in thread.interrupts.values() for each in questions]
    title = thread.metadata.get("title")
    return {
        "thread": {"id": str(thread.id), "url": reverse("admin:threads_thread_change", args=[thread.id])},
        "title": title if reads and isinstance(title, str) else "",
        "run": {"id": str(run.id), "url": page("run", run.id)},
        "act": reverse("admin:runs_run_page_act", args=[run.id]),
        "assistant": run.assistant.name,
        "user": str(thread.user),
        "since": milliseconds(thread.state_updated_at),
        "count": len(asked),
        "questions": [{"id": each["id"], "value": redacted(each.get("value"))} for each in asked]
        if reads
        else [],
    }


@admin.register(Waiting)
class InboxAdmin(ReadOnlyAdmin):
    """One page. The permission to view threads shows that they wait; reading and answering need their own."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(VIEW_THREADS))  # type: ignore[union-attr]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="runs_waiting_changelist"),
            path("items/", wrap(never_cache(self.items_view)), name="runs_waiting_items"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            return refused(VIEW_THREADS)
        context = {
            **self.admin_site.each_context(request),
            "title": "Inbox",
            "opts": self.opts,
            "items": self._items(request),
        }
        return TemplateResponse(request, "admin/runs/waiting/change_list.html", context)

    def items_view(self, request: HttpRequest) -> HttpResponse:
        return answered(self._items(request)) if self.has_view_permission(request) else refused(VIEW_THREADS)

    def _items(self, request: HttpRequest) -> dict[str, Any]:
        user: Any = request.user
        reads, operates = user.has_perm(READ), user.has_perm(OPERATE)
        threads = waiting()
        runs = Run.objects.select_related("assistant").in_bulk([each.asking for each in threads])
        shown = [(each, runs[each.asking]) for each in threads[:MOST] if each.asking in runs]
        if reads:
            note_readings([run.id for _, run in shown], user)
        lacks = [name for name, has in ((READ, reads), (OPERATE, operates)) if not has]
        return {
            "items": [item(thread, run, reads=reads) for thread, run in shown],
            "more": len(threads) > MOST,
            "missing": _needed(lacks),
            "now": milliseconds(clock.now()),
        }


def _needed(permissions: list[str]) -> str:
    """The permissions in words, or ""."""
    return f"the permission{'s' * (len(permissions) > 1)} {' and '.join(permissions)}" if permissions else ""
