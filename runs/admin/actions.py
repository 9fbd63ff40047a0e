"""The admin's actions on runs, which call the same functions as the API and the commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from runs.exceptions import NothingToCancel
from runs.lifecycle.cancellation import Outcome, cancel
from runs.lifecycle.reconcile import Report, reconcile
from runs.models import CancelAction, Run, RunStatus
from runs.models.querysets import RunQuerySet
from runs.process.current import notify_cancelled

#: Maximum runs of one action: each is a transaction, and the operator waits for the page.
LIMIT = 500
ENDED_MEANWHILE = "had ended meanwhile"
DONE = {
    Outcome.ASKED: "asked to stop",
    Outcome.ENDED: "cancelled before it was executing",
    Outcome.REMOVED: "removed before it began",
}


class RunActions(admin.ModelAdmin):
    """The actions of the runs' page; they need the permission `runs.operate_run`."""

    actions = ("cancel_runs", "roll_back_runs", "reconcile_runs")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("runs.operate_run"))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        run = kwargs.get("obj")
        user: Any = request.user
        if run is not None:
            context["run_page"] = {
                "data": f"{reverse('admin:runs_run_changelist')}{run.pk}/page/",
                "runs": reverse("admin:runs_run_changelist"),
                "reads": user.has_perm("runs.view_run_payload"),
                "operates": user.has_perm("runs.operate_run"),
            }
        if run is not None and self.has_operate_permission(request):
            context["run_actions"] = [(name, getattr(self, name).short_description) for name in _offered(run)]
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description="Cancel (interrupt)", permissions=["operate"])
    def cancel_runs(self, request: HttpRequest, queryset: RunQuerySet) -> None:
        self._cancel(request, queryset, CancelAction.INTERRUPT)

    @admin.action(description="Cancel and roll back", permissions=["operate"])
    def roll_back_runs(self, request: HttpRequest, queryset: RunQuerySet) -> HttpResponse | None:
        ids = _first(queryset.in_flight())
        if not ids or "confirmed" in request.POST:
            self._cancel(request, queryset, CancelAction.ROLLBACK)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Cancel and roll back?",
            "opts": self.opts,
            "run_ids": ids,
            "limit": LIMIT,
            "checkbox": ACTION_CHECKBOX_NAME,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/runs/run/roll_back_confirmation.html", context)

    @admin.action(description="Reconcile", permissions=["operate"])
    def reconcile_runs(self, request: HttpRequest, queryset: RunQuerySet) -> None:
        ids = _first(queryset.filter(status=RunStatus.RUNNING))
        report = reconcile(run_ids=ids) if ids else Report()
        settled = [UUID(run_id) for run_id in (*report.requeued, *report.failed)]
        for run_id in settled:
            notify_cancelled(run_id)
        _audit(request, settled, "Reconciled")
        if not report.examined:
            text = "None of these runs is an orphan: they are not running, or their workers are alive."
            self.message_user(request, text, messages.WARNING)
            return
        counted = {
            "will be resumed": len(report.requeued),
            "ended in an error": len(report.failed),
            "settled by another process": len(report.skipped),
            "could not be settled (see the log)": len(report.unsettled),
        }
        level = messages.ERROR if report.unsettled else messages.SUCCESS
        self.message_user(request, _sentence("Reconciled", report.examined, counted), level)
        self._mention_rest(request, ids)

    def _cancel(self, request: HttpRequest, queryset: RunQuerySet, action: CancelAction) -> None:
        ids = _first(queryset.in_flight())
        if not ids:
            self.message_user(request, "None of these runs is pending or running.", messages.WARNING)
            return
        counted: Counter[str] = Counter()
        cancelled = []
        for run_id in ids:
            try:
                counted[DONE[cancel(run_id, action=action)]] += 1
            except NothingToCancel:
                counted[ENDED_MEANWHILE] += 1
            else:
                cancelled.append(run_id)
                notify_cancelled(run_id)
        _audit(request, cancelled, f"Cancelled ({action.value})")
        level = messages.SUCCESS if cancelled else messages.WARNING
        self.message_user(request, _sentence("Cancelled", len(ids), counted), level)
        self._mention_rest(request, ids)

    def _mention_rest(self, request: HttpRequest, ids: Sequence[UUID]) -> None:
        if len(ids) == LIMIT:
            text = f"An action takes {LIMIT} runs at most. Repeat it for the rest."
            self.message_user(request, text, messages.WARNING)


def _offered(run: Run) -> Sequence[str]:
    """The actions that apply to a run."""
    names = RunActions.actions
    return {RunStatus.RUNNING: names, RunStatus.PENDING: names[:2]}.get(RunStatus(run.status), ())


def _first(queryset: RunQuerySet) -> list[UUID]:
    return list(queryset.values_list("id", flat=True)[:LIMIT])


def _sentence(verb: str, total: int, counted: dict[str, int]) -> str:
    parts = [f"{count} {what}" for what, count in counted.items() if count]
    return f"{verb} {total} run{'s' if total != 1 else ''}: {', '.join(parts)}."


def _audit(request: HttpRequest, run_ids: Sequence[UUID], what: str) -> None:
    """Log the operator's action on each run's history page."""
    rows: Any = [Run(id=run_id) for run_id in run_ids]
    user: Any = request.user
    if rows:
        LogEntry.objects.log_actions(user.pk, rows, CHANGE, what)
