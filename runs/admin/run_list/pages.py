"""What people keep of the list of runs: its columns, and views of it under names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, PAGE_VAR
from django.db.models import Q
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
    QueryDict,
)
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.rights import missing, refused
from runs.admin.run_list.columns import ALWAYS, COLUMNS, PARAMETER, columns, keep
from runs.admin.run_search.suggestions import suggested
from runs.models import SavedView
from threads.admin.base import as_uuid
from threads.db import clock

VIEW_RUNS = "runs.view_run"
#: The most views of a person, and in a list.
OWN, LISTED = 50, 200
#: Parameters that are about one look at the list.
PASSING = (PAGE_VAR, ALL_VAR, ERROR_FLAG, IS_POPUP_VAR, TO_FIELD_VAR)
#: The most characters of a view's name and of its conditions, as in its table.
NAME, QUERY = 80, 2000


def urls(wrap: Callable[..., Any]) -> list[Any]:
    pages = {"columns": keep_columns, "saveview": save_view, "deleteview": delete_view}
    suggestions = path("suggestions/", wrap(never_cache(suggest)), name="runs_run_suggestions")
    return [
        suggestions,
        *(path(f"{name}/", wrap(_posted(page)), name=f"runs_run_{name}") for name, page in pages.items()),
    ]


def context(request: HttpRequest) -> dict[str, Any]:
    """What the list's page shows above the list."""
    user: Any = request.user
    shown, query = columns(request), kept_query(request.GET)
    found = SavedView.objects.filter(Q(user=user) | Q(shared=True)).select_related("user")
    present = QueryDict(_with_columns(query, request))
    views = [
        {
            "view": view,
            "own": view.user_id == user.pk,
            "deletable": _deletable(view, user),
            "present": QueryDict(view.query) == present,
        }
        for view in found.order_by("name", "id")[:LISTED]
    ]
    return {
        "views": views,
        "query": query,
        "columns": [
            {"name": name, "label": label, "chosen": name in shown, "fixed": name == ALWAYS}
            for name, label in COLUMNS.items()
        ],
    }


def kept_query(given: QueryDict) -> str:
    """The conditions and columns of a list's address, without the page."""
    query = given.copy()
    for name in PASSING:
        query.pop(name, None)
    return query.urlencode()


def suggest(request: HttpRequest) -> HttpResponse:
    """Completions of the last word in the search box."""
    if lacking := missing(request, VIEW_RUNS):
        return refused(lacking)
    found = suggested(request.GET.get("word", "").replace("\x00", ""))
    return JsonResponse({"suggestions": [asdict(each) for each in found]})


def keep_columns(request: HttpRequest) -> HttpResponse:
    chosen = [ALWAYS, *request.POST.getlist("column")]
    keep(request.user, () if "default" in request.POST else chosen)
    return _list(request, without=PARAMETER)


def save_view(request: HttpRequest) -> HttpResponse:
    """Save the list as it is under a name; one's own view of this name is replaced."""
    user: Any = request.user
    name = " ".join(request.POST.get("name", "").replace("\x00", "").split())[:NAME]
    query = _with_columns(_query(request).urlencode(), request)
    mine = SavedView.objects.filter(user=user)
    if not name:
        messages.error(request, "Nothing was saved: a view needs a name.")
    elif len(query) > QUERY:
        messages.error(request, "Nothing was saved: these conditions are too long.")
    elif mine.exclude(name=name).count() >= OWN:
        messages.error(request, f"Nothing was saved: {OWN} views are the most. Delete one first.")
    else:
        values = {"query": query, "shared": "shared" in request.POST, "created_at": clock.now()}
        _, created = SavedView.objects.update_or_create(user=user, name=name, defaults=values)
        messages.success(request, f"The view “{name}” is {'saved' if created else 'replaced'}.")
    return _list(request)


def delete_view(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    view_id = as_uuid(request.POST.get("view", ""))
    view = SavedView.objects.filter(id=view_id).first() if view_id else None
    if view is None or not (view.shared or view.user_id == user.pk):
        messages.warning(request, "This view is no longer there.")
    elif not _deletable(view, user):
        messages.error(request, "Only its owner and superusers delete a shared view.")
    else:
        view.delete()
        messages.success(request, f"The view “{view.name}” is deleted.")
    return _list(request)


def _deletable(view: SavedView, user: Any) -> bool:
    return view.user_id == user.pk or (view.shared and user.is_superuser)


def _query(request: HttpRequest) -> QueryDict:
    """The conditions of the list that a form was sent from."""
    return QueryDict(kept_query(QueryDict(request.POST.get("query", ""))), mutable=True)


def _with_columns(query: str, request: HttpRequest) -> str:
    """The conditions with the columns that the person sees, so that a view looks the same to everybody."""
    whole = QueryDict(query, mutable=True)
    if not whole.get(PARAMETER):
        whole[PARAMETER] = ",".join(columns(request))
    return whole.urlencode()


def _list(request: HttpRequest, *, without: str = "") -> HttpResponse:
    query = _query(request)
    query.pop(without, None)
    return HttpResponseRedirect(f"{reverse('admin:runs_run_changelist')}?{query.urlencode()}")


def _posted(page: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A page for those who may view runs, which takes a form."""

    def answered(request: HttpRequest) -> HttpResponse:
        if lacking := missing(request, VIEW_RUNS):
            return refused(lacking)
        return page(request) if request.method == "POST" else HttpResponseNotAllowed(["POST"])

    return answered
