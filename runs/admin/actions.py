"""The actions of the admin's list of runs: an estimate, a confirmation with a reason, and a bulk action.

They act on a selection, or on everything that matches the list's filters and search.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import ADDITION, LogEntry
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from runs.exceptions import InvalidRequest
from runs.lifecycle.operators.bulk.estimating import estimate
from runs.lifecycle.operators.bulk.handling import advance, begin
from runs.lifecycle.operators.operations import HIGHEST, LONGEST_REASON, LOWEST, Operator
from runs.models import BulkAction, BulkKind, Run, RunStatus
from runs.models.querysets import RunQuerySet
from threads.db.ids import new_id

logger = logging.getLogger(__name__)

#: How long the request that confirms an action handles runs itself, in seconds; workers do the rest.
AT_ONCE = 1.0
NAMES = {
    "cancel_runs": BulkKind.CANCEL,
    "roll_back_runs": BulkKind.ROLL_BACK,
    "retry_runs": BulkKind.RETRY,
    "requeue_runs": BulkKind.REQUEUE,
    "set_priority": BulkKind.PRIORITY,
    "reconcile_runs": BulkKind.RECONCILE,
}
Act = Callable[["RunActions", HttpRequest, RunQuerySet], HttpResponse | None]


class Confirmation(forms.Form):
    """What a person says when an action is confirmed."""

    reason = forms.CharField(max_length=LONGEST_REASON)
    priority = forms.IntegerField(min_value=LOWEST, max_value=HIGHEST, required=False)
    #: Later runs are not touched.
    until = forms.UUIDField(widget=forms.HiddenInput)


def _action(name: str) -> Act:
    kind = NAMES[name]

    @admin.action(description=kind.label, permissions=["operate"])
    def act(self: RunActions, request: HttpRequest, queryset: RunQuerySet) -> HttpResponse | None:
        return self.ask_or_begin(request, queryset, name)

    return act


class RunActions(admin.ModelAdmin):
    """The actions of the runs' page; they need the permission `runs.operate_run`."""

    actions = tuple(NAMES)
    cancel_runs = _action("cancel_runs")
    roll_back_runs = _action("roll_back_runs")
    retry_runs = _action("retry_runs")
    requeue_runs = _action("requeue_runs")
    set_priority = _action("set_priority")
    reconcile_runs = _action("reconcile_runs")

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
            context["run_actions"] = [(name, NAMES[name].label) for name in _offered(run)]
        return super().render_change_form(request, context, *args, **kwargs)

    def ask_or_begin(self, request: HttpRequest, rows: RunQuerySet, name: str) -> HttpResponse | None:
        """The page that asks for confirmation, or the beginning of the confirmed action."""
        # What the search says, such as among how many runs it looked. Django searches twice here, and the list
        # says it again.
        notes = list(dict.fromkeys(map(str, messages.get_messages(request))))
        form = Confirmation(request.POST) if "confirmed" in request.POST else None
        if form is not None and form.is_valid():
            try:
                bulk = _begin(request, rows, NAMES[name], form)
            except InvalidRequest as error:
                form.add_error(None, str(error))
            else:
                return HttpResponseRedirect(reverse("admin:runs_bulkaction_change", args=[bulk.pk]))
        found = estimate(NAMES[name], rows)
        if form is None and found.impossible:
            self.message_user(request, found.refusal, messages.WARNING)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{NAMES[name].label}?",
            "opts": self.opts,
            "up": {"url": request.get_full_path(), "name": "Runs"},
            "estimate": found,
            "notes": notes if _across(request) else (),
            "messages": (),
            "action": name,
            "dangerous": name == "roll_back_runs",
            "across": _across(request),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "form": form or Confirmation(initial={"until": new_id()}),
            "asks_priority": name == "set_priority",
            "lowest": LOWEST,
            "highest": HIGHEST,
            "longest": LONGEST_REASON,
        }
        return TemplateResponse(request, "admin/runs/run/bulk_confirmation.html", context)


def _begin(request: HttpRequest, rows: RunQuerySet, kind: BulkKind, form: Confirmation) -> BulkAction:
    """Begin a confirmed action, and handle its first runs. Raises InvalidRequest."""
    user: Any = request.user
    given = form.cleaned_data
    by = Operator(str(user), "admin", user.pk)
    criterion = f"?{request.GET.urlencode()}" if _across(request) else ""
    bulk = begin(
        kind, rows, by, reason=given["reason"], criterion=criterion, until=given["until"],
        priority=given["priority"],
    )  # fmt: skip
    logged: Any = [bulk]
    # Not a second time for a page that is sent twice.
    if not LogEntry.objects.filter(object_id=str(bulk.pk)).exists():
        LogEntry.objects.log_actions(user.pk, logged, ADDITION, f"Confirmed. {bulk.reason}")
    try:
        # So that few runs are done when the page opens, also where no worker lives.
        advance(bulk.id, seconds=AT_ONCE)
    except DatabaseError as error:
        logger.warning("Bulk action %s continues in a worker: %s", bulk.id, error)
    return bulk


def _across(request: HttpRequest) -> bool:
    """Whether the action is about everything that matches, as Django's own checkbox says."""
    return request.POST.get("select_across") == "1"


def _offered(run: Run) -> Sequence[str]:
    """The actions that apply to a run."""
    if run.status == RunStatus.RUNNING:
        return ("cancel_runs", "roll_back_runs", "requeue_runs", "reconcile_runs")
    if run.status == RunStatus.PENDING:
        return ("cancel_runs", "roll_back_runs", "set_priority")
    return ("retry_runs",)
