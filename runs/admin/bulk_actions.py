"""Bulk actions in the admin: their history, and a page of each with its progress, which can be stopped."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.rights import OPERATE, refused
from runs.admin.run_page.views import VIEW, answered
from runs.lifecycle.operators.bulk.handling import KEPT, stop
from runs.models import BulkAction, BulkState, BulkTarget, Worker
from threads.admin.base import ReadOnlyAdmin, column
from threads.db import clock
from threads.display import ago, badge, link, span

#: How many refusals its page shows.
SHOWN = 200
#: The state's icon and colour.
LOOKS = {
    BulkState.CONFIRMED: ("queued", "idle"),
    BulkState.RUNNING: ("running", "run"),
    BulkState.FINISHED: ("ok", "ok"),
    BulkState.STOPPED: ("stopped", "idle"),
}
#: Parameters of the list that change its looks, not its rows.
LOOKS_ONLY = frozenset({"p", "o", "all", "columns"})
NONE = "There is no such bulk action (any more)."
NOBODY = "No process that executes runs is alive; it continues when one starts."


def progress(bulk: BulkAction) -> dict[str, Any]:
    """How far it is, as JSON: numbers and sentences."""
    over = bulk.ended_at is not None
    counted = {"done": bulk.done, "refused": bulk.refused, "failed": bulk.failed}
    parts = [f"{count:,} {name}" for name, count in counted.items() if count]
    left = bulk.total - bulk.handled
    note = ""
    if bulk.waits_because:
        note = f"Some runs are put off, because their users are at a limit: {bulk.waits_because}"
    elif not over and not Worker.objects.alive(clock.now()).exists():
        note = NOBODY
    elif over and left:
        note = f"{left:,} {'run was' if left == 1 else 'runs were'} left alone."
    return {
        "state": bulk.state,
        "over": over,
        "total": bulk.total,
        "handled": bulk.handled,
        "sentence": f"{bulk.handled:,} of {bulk.total:,} handled{': ' if parts else ''}{', '.join(parts)}.",
        "note": note,
    }


def criterion(bulk: BulkAction) -> str:
    """How its runs were chosen, in words."""
    if not bulk.criterion:
        return f"a selection of {bulk.total:,}"
    conditions = [(name, value) for name, value in parse_qsl(bulk.criterion[1:]) if name not in LOOKS_ONLY]
    words = [f"{'search' if name == 'q' else name} {value}" for name, value in conditions]
    return ", ".join(words) or "all runs"


@admin.register(BulkAction)
class BulkActionAdmin(ReadOnlyAdmin):
    """The permission to view runs shows them; stopping needs the one to operate."""

    list_display = ("status", "action", "runs", "total", "done", "refused", "failed", "who", "why", "created")
    list_display_links = ("action",)
    ordering = ("-id",)
    sortable_by = ()
    search_texts = ("who",)
    search_help_text = "Full id of a bulk action (or several), or a username."

    status = column("state", badge, "state")
    why = column("reason", lambda reason: reason[:80], "reason")
    created = column("created_at", ago, "confirmed")

    @admin.display(description="action")
    def action(self, bulk: BulkAction) -> str:
        return bulk.get_kind_display()

    @admin.display(description="runs")
    def runs(self, bulk: BulkAction) -> str:
        return criterion(bulk)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(VIEW))  # type: ignore[union-attr]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<uuid:bulk_id>/progress/",
                wrap(never_cache(self.progress_view)),
                name="runs_bulkaction_progress",
            ),
            path("<uuid:bulk_id>/stop/", wrap(self.stop_view), name="runs_bulkaction_stop"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            return refused(VIEW)
        bulk: BulkAction | None = self.get_object(request, unquote(object_id))
        if bulk is None:
            raise Http404(NONE)
        user: Any = request.user
        kept = BulkTarget.objects.filter(bulk=bulk).exclude(refusal="").order_by("run_id")
        refusals = [(link("runs_run", each.run_id), each.refusal) for each in kept[:SHOWN]]
        icon, colour = LOOKS[BulkState(bulk.state)]
        context = {
            **self.admin_site.each_context(request),
            "title": bulk.get_kind_display(),
            "opts": self.opts,
            "up": {"url": reverse("admin:runs_bulkaction_changelist"), "name": "Bulk actions"},
            "bulk": bulk,
            "progress": progress(bulk),
            "confirmed": ago(bulk.created_at),
            "took": span(bulk.created_at, bulk.ended_at) if bulk.ended_at else "",
            "icon": icon,
            "colour": colour,
            "runs": criterion(bulk),
            "matching": f"{reverse('admin:runs_run_changelist')}{bulk.criterion}" if bulk.criterion else "",
            "refusals": refusals,
            "unlisted": bulk.refused + bulk.failed - len(refusals),
            "kept": KEPT,
            "operates": user.has_perm(OPERATE),
            "needed": OPERATE,
        }
        return TemplateResponse(request, "admin/runs/bulkaction/page.html", context)

    def progress_view(self, request: HttpRequest, bulk_id: UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            return refused(VIEW)
        bulk = BulkAction.objects.filter(id=bulk_id).first()
        if bulk is None:
            return answered({"detail": NONE}, 404)
        return answered(progress(bulk))

    def stop_view(self, request: HttpRequest, bulk_id: UUID) -> HttpResponse:
        user: Any = request.user
        for needed in (VIEW, OPERATE):
            if not user.has_perm(needed):
                return refused(needed)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not BulkAction.objects.filter(id=bulk_id).exists():
            raise Http404(NONE)
        if stop(bulk_id):
            rows: Any = [BulkAction(id=bulk_id, kind="", who="")]
            LogEntry.objects.log_actions(user.pk, rows, CHANGE, "Stopped.")
        else:
            self.message_user(request, "It was over before.", messages.WARNING)
        return HttpResponseRedirect(reverse("admin:runs_bulkaction_change", args=[bulk_id]))
