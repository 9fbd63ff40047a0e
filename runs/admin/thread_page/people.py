"""What is a user's: counted, exported, and deleted with the user."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_permission_codename, get_user_model
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.rights import READ, missing, refused
from runs.lifecycle.operators.operations import Operator
from runs.models import Erasure
from runs.retention.erasures import in_words
from runs.retention.user_exports import exported_user
from runs.retention.users import belongings, delete_user

logger = logging.getLogger(__name__)

#: How long one request deletes, in seconds; the sweep deletes the rest.
PATIENCE = 10.0
#: The most characters of an export in one answer.
MOST_EXPORTED = 64 * 1024 * 1024
#: The steps that tell that the user is gone.
LAST = ("assistants", "users")
REST = "The rest is deleted in the background."
STOPPED = "The account was made active again, and nothing more is deleted."
TOO_LARGE = "This user's data is larger than 64 MB. Export it with: manage.py agents users export"


class People:
    """The pages of one user's data, below another page of the admin."""

    def __init__(self, page: ModelAdmin) -> None:
        self.page = page

    def urls(self, wrap: Callable[..., Any]) -> list[Any]:
        return [
            path("people/<str:user_id>/", wrap(never_cache(self.show)), name="threads_thread_person"),
            path(
                "people/<str:user_id>/export/", wrap(never_cache(self.export)), name="threads_thread_export"
            ),
            path("people/<str:user_id>/remove/", wrap(self.remove), name="threads_thread_remove"),
        ]

    def show(self, request: HttpRequest, user_id: str) -> HttpResponse:
        if lacking := missing(request, may("view")):
            return refused(lacking)
        user = _found(user_id)
        lacks = {
            why: missing(request, needed) for why, needed in (("export", READ), ("delete", may("delete")))
        }
        context = {
            **self.page.admin_site.each_context(request),
            "title": f"What is {user.get_username()}'s",
            "opts": self.page.opts,
            "person": user,
            "erasure": Erasure.objects.filter(user=user.pk).first(),
            "has": [(name.replace("_", " "), count) for name, count in belongings(user.pk).items()],
            "why_not_export": _needed(lacks["export"]),
            "why_not_delete": _needed(lacks["delete"]) or _protected(request, user),
            "may_look": request.user.has_perm("threads.view_thread"),  # type: ignore[union-attr]
        }
        return TemplateResponse(request, "admin/runs/person/data.html", context)

    def export(self, request: HttpRequest, user_id: str) -> HttpResponse:
        if lacking := missing(request, may("view"), READ):
            return refused(lacking)
        user = _found(user_id)
        lines, size = [], 0
        for line in exported_user(user):
            size += len(line) + 1
            if size > MOST_EXPORTED:
                return HttpResponse(TOO_LARGE, status=413, content_type="text/plain")
            lines.append(f"{line}\n")
        rows: Any = [user]
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, "Exported what is theirs.")  # type: ignore[arg-type]
        name = f'attachment; filename="user-{user.pk}.jsonl"'
        return HttpResponse(
            "".join(lines), content_type="application/jsonl", headers={"Content-Disposition": name}
        )

    def remove(self, request: HttpRequest, user_id: str) -> HttpResponse:
        if lacking := missing(request, may("view"), may("delete")):
            return refused(lacking)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        user = _found(user_id)
        here = HttpResponseRedirect(reverse("admin:threads_thread_person", args=[user.pk]))
        if why := _protected(request, user):
            self.page.message_user(request, f"Nothing was deleted: {why}.", messages.ERROR)
            return here
        if request.POST.get("username") != user.get_username():
            self.page.message_user(request, "Nothing was deleted: the username differs.", messages.ERROR)
            return here
        asking: Any = request.user
        what = in_words(counted := _deleted(user.pk, Operator(str(asking), "admin", asking.pk)))
        if counted["users"]:
            text = f"The user {user.get_username()} is deleted with {what}."
            self.page.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:threads_thread_changelist"))
        going_on = Erasure.objects.filter(user=user.pk).exists()
        self.page.message_user(
            request, f"Deleted so far: {what}. {REST if going_on else STOPPED}", messages.WARNING
        )
        return here


def _deleted(user_id: Any, by: Operator) -> Counter[str]:
    """Delete for a bounded time; return what was deleted, with `users` if that was all."""
    counted: Counter[str] = Counter()
    ends = time.monotonic() + PATIENCE
    try:
        for kind, count in delete_user(user_id, by):
            counted[kind] += count
            if time.monotonic() > ends and kind not in LAST:
                break
    except Exception:  # the person's page says why, and the sweep tries again
        logger.exception("The user with ID %s could not be deleted; it is retried.", user_id)
    return counted


def may(verb: str) -> str:
    """The permission to `view` or `delete` users."""
    options = get_user_model()._meta
    return f"{options.app_label}.{get_permission_codename(verb, options)}"


def _needed(permission: str) -> str:
    return permission and f"you need the permission {permission}"


def _protected(request: HttpRequest, user: Any) -> str:
    """Why a person who may delete users cannot delete this one."""
    asking: Any = request.user
    if user.pk == asking.pk:
        return "an account cannot delete itself here"
    if getattr(user, "is_superuser", False) and not asking.is_superuser:
        return "only superusers delete superusers"
    return ""


def _found(user_id: str) -> Any:
    try:
        user = get_user_model()._default_manager.filter(pk=user_id).first()
    except (ValueError, OverflowError, ValidationError):
        user = None
    if user is None:
        raise Http404
    return user
