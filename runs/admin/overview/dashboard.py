"""The admin's dashboard: what executes and waits, what failed lately, and which workers there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.overview import attention, spending
from runs.admin.rights import missing, refused
from runs.admin.run_page.importing import NEEDED as IMPORT_NEEDS
from runs.lifecycle.operators import activity, costs, queues
from runs.models import Overview, Worker
from threads.admin.base import ReadOnlyAdmin
from threads.db import clock
from threads.display import seconds

VIEW = "runs.view_run"
#: Workers that are listed, the newest first.
WORKERS = 20
#: Models that are listed.
MODELS = 20
#: The size of the picture of a day, in its own units.
WIDTH, HEIGHT = 24 * 20, 60


@admin.register(Overview)
class DashboardAdmin(ReadOnlyAdmin):
    """One page, for people who may view runs."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(VIEW))  # type: ignore[union-attr]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(never_cache(self.changelist_view))
        days = self.admin_site.admin_view(never_cache(self.spending_view))
        return [
            path("", view, name="runs_overview_changelist"),
            path("spending/", days, name="runs_overview_spending"),
        ]

    def spending_view(self, request: HttpRequest) -> HttpResponse:
        up = {"url": reverse("admin:runs_overview_changelist"), "name": "Dashboard"}
        return spending.page(request, {**self.admin_site.each_context(request), "opts": self.opts, "up": up})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            return refused(VIEW)
        found, all_queues = activity.of_last_day(), queues.overview()
        waiting = [each.waiting_since for each in all_queues if each.waiting_since is not None]
        now = clock.now()
        context = {
            **self.admin_site.each_context(request),
            "title": "Dashboard",
            "opts": self.opts,
            "running": sum(each.running for each in all_queues),
            "pending": sum(each.pending for each in all_queues),
            "oldest": seconds((now - min(waiting)).total_seconds()) if waiting else "",
            "activity": found,
            "most": activity.MOST,
            "wait": _pair(found.wait),
            "duration": _pair(found.duration),
            "bars": bars(found.hours),
            "width": WIDTH,
            "height": HEIGHT,
            "models": [
                (use, "–" if use.cost is None else costs.shown(use.cost)) for use in found.models[:MODELS]
            ],
            "priced": any(use.cost is not None for use in found.models),
            "attention": attention.found(request.user, found.failures, all_queues),  # type: ignore[arg-type]
            "queues": [(each, attention.unserved(each)) for each in all_queues],
            "workers": _workers(),
            "may_import": not missing(request, *IMPORT_NEEDS),
        }
        return TemplateResponse(request, "admin/runs/overview/change_list.html", context)


def _pair(spread: tuple[float, float] | None) -> str:
    return f"{seconds(spread[0])} / {seconds(spread[1])}" if spread else "–"


def _workers() -> list[tuple[Worker, str]]:
    """Those of the last day, each with the age of its heartbeat."""
    now = clock.now()
    lately = Q(stopped_at=None) | Q(stopped_at__gt=now - timedelta(hours=activity.HOURS))
    rows = Worker.objects.filter(lately).order_by("-started_at")[:WORKERS]
    return [(row, seconds((now - row.heartbeat_at).total_seconds())) for row in rows]


def bars(hours: list[activity.Hour]) -> list[dict[str, Any]]:
    """The runs of each hour as bars, the failed ones at the bottom. Pure."""
    most = max((hour.runs for hour in hours), default=0) or 1
    found = []
    for place, hour in enumerate(hours):
        whole, failed = (round(HEIGHT * count / most, 1) for count in (hour.runs, hour.failed))
        label = f"{hour.begins:%H:%M}: {hour.runs} runs, {hour.failed} failed, {hour.tokens:,} tokens"
        found.append({
            "x": place * 20 + 2, "y": HEIGHT - whole, "height": whole - failed, "failed_y": HEIGHT - failed,
            "failed": failed, "label": label,
        })  # fmt: skip
    return found
