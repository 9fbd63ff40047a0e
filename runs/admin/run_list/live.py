"""What the list of runs asks again while it is looked at: its rows as they are now, and how long runs took."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import results
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.rights import missing, refused
from runs.admin.run_list.changes import RunChangeList, tell_waiting
from threads.admin.base import as_uuid

if TYPE_CHECKING:
    from runs.admin.runs import RunAdmin

VIEW_RUNS = "runs.view_run"
#: The most rows that are rendered again, as many as a page has.
ROWS = 100
#: The most new runs that are counted, and the most runs of the picture.
NEW, POINTS = 100, 500
#: The parameter with the ids of the rows that are shown.
SHOWN = "shown"
#: The mark of requests for which the list only needs its conditions.
CONDITIONS = "only_conditions"


def urls(model_admin: RunAdmin, wrap: Callable[..., Any]) -> list[Any]:
    views = {"rows": rows, "durations": durations}
    return [
        path(f"{name}/", wrap(never_cache(_of(model_admin, view))), name=f"runs_run_{name}")
        for name, view in views.items()
    ]


def _of(
    model_admin: RunAdmin, view: Callable[[HttpRequest, RunChangeList, list[UUID]], HttpResponse]
) -> Callable[[HttpRequest], HttpResponse]:
    """A view of the list that an address has the conditions of."""

    def answered(request: HttpRequest) -> HttpResponse:
        if lacking := missing(request, VIEW_RUNS):
            return refused(lacking)
        given = request.GET.copy()
        shown = [found for text in given.pop(SHOWN, []) if (found := as_uuid(text))][:ROWS]
        request.GET = given  # type: ignore[assignment]
        setattr(request, CONDITIONS, True)
        # What the list says about its conditions was said when it was opened.
        messages.set_level(request, messages.ERROR + 1)
        try:
            listed: Any = model_admin.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return JsonResponse({"detail": "There is no such list."}, status=400)
        return view(request, listed, shown)

    return answered


def rows(request: HttpRequest, listed: RunChangeList, shown: list[UUID]) -> HttpResponse:
    """The cells of the rows that are shown, whether they still match or not, and how many runs came after them."""
    admin: Any = listed.model_admin
    found = list(admin.get_queryset(request).defer(*admin.list_defer).filter(id__in=shown))
    tell_waiting(found)
    listed.result_list = found
    listed.formset = None
    cells = {str(run.pk): "".join(row) for run, row in zip(found, results(listed), strict=True)}
    newer = listed.queryset.filter(id__gt=max(shown)) if shown else listed.queryset
    return JsonResponse({"rows": cells, "new": newer.order_by().values("id")[:NEW].count(), "most": NEW})


def durations(request: HttpRequest, listed: RunChangeList, shown: list[UUID]) -> HttpResponse:
    """How long the newest runs of the list took that have begun and ended, the oldest first."""
    ended = listed.queryset.filter(started_at__isnull=False, finished_at__isnull=False).order_by("-id")
    columns = ended.values_list("id", "status", "started_at", "finished_at")[:POINTS]
    points = [
        {
            "id": str(run_id),
            "status": status,
            "at": int(began.timestamp() * 1000),
            "seconds": max(0.0, (finished - began).total_seconds()),
            "url": reverse("admin:runs_run_change", args=[run_id]),
        }
        for run_id, status, began, finished in columns
    ]
    return JsonResponse({"points": points[::-1], "most": POINTS})
