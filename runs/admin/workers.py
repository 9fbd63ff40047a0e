"""Workers in the admin: what they execute and executed, and how they ended; drain them."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from runs.admin.filters import WorkerStateFilter
from runs.admin.rights import OPERATE
from runs.lifecycle.operators.queues import drain
from runs.lifecycle.records import Operator
from runs.models import RunStatus, Worker
from threads.admin.base import ReadOnlyAdmin, column
from threads.display import ago, badge, moment, short_id

NEEDED = f"you need the permission {OPERATE}"


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = (
        "state",
        "short",
        "host",
        "pid",
        "version",
        "executing",
        "started",
        "heartbeat",
        "lease",
        "stopped",
    )
    list_display_links = ("short",)
    list_filter = (WorkerStateFilter,)
    actions = ("drain",)
    ordering = ("-id",)
    sortable_by = ("host", "started")
    search_texts = ("host__icontains",)
    search_help_text = "Full id of a worker (or several), or part of its host's name."
    fieldsets = (
        (None, {"fields": (("state", "executing"), "id", ("host", "pid"), ("version", "serves"))}),
        ("Time", {"fields": (("started_full", "stopped_full"), ("heartbeat_full", "lease_full"))}),
    )

    short = column("id", short_id, "worker")
    started = column("started_at", ago, "started", ordering="id")
    heartbeat = column("heartbeat_at", ago, "heartbeat")
    lease = column("lease_expires_at", ago, "lease ends")
    stopped = column("stopped_at", ago, "stopped")
    started_full = column("started_at", moment, "started")
    heartbeat_full = column("heartbeat_at", moment, "heartbeat")
    lease_full = column("lease_expires_at", moment, "lease ends")
    stopped_full = column("stopped_at", moment, "stopped")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        running = Count("runs", filter=Q(runs__status=RunStatus.RUNNING))
        return cast("QuerySet[Any]", super().get_queryset(request).annotate(running=running))

    @admin.display(description="state")
    def state(self, worker: Worker) -> str:
        return badge(worker.state)

    @admin.display(description="queues")
    def serves(self, worker: Worker) -> str:
        return "all" if worker.queues is None else ", ".join(worker.queues)

    @admin.display(description="executing")
    def executing(self, worker: Any) -> str:
        return f"{worker.running} of {worker.concurrency}"

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(OPERATE))  # type: ignore[union-attr]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        worker = kwargs.get("obj")
        if worker is not None:
            why = "" if worker.state == "running" else f"it is {worker.state}"
            why = why if self.has_operate_permission(request) else NEEDED
            context["why_not_act"] = why and f"Cannot be drained: {why}."
            context["row_actions"] = () if why else [("drain", "Drain")]
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(
        description="Drain: take no more runs, stop these at the next step", permissions=["operate"]
    )
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        user: Any = request.user
        by = Operator(str(user), "admin", user.pk)
        asked = [worker for worker in queryset if drain(worker, by=by)]
        if asked:
            LogEntry.objects.log_actions(user.pk, asked, CHANGE, "Asked to drain.")
        text = (
            f"Asked {len(asked)} worker{'s' * (len(asked) != 1)} to drain: they hear it at their next heartbeat, "
            "take no more runs, and stop theirs at the next step."
            if asked
            else "None of these workers is alive."
        )
        self.message_user(request, text, messages.SUCCESS if asked else messages.WARNING)
