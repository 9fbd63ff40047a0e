"""Queues in the admin: what waits in each and for how long, and a pause with its reason."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.overview.attention import runs_matching, unserved
from runs.admin.rights import OPERATE, refused
from runs.graphs.sources import QUEUE
from runs.lifecycle.operators import queues
from runs.lifecycle.records import Operator
from runs.models import PausedQueue
from threads.admin.base import ReadOnlyAdmin
from threads.db import clock
from threads.db.values.text import storable
from threads.display import seconds

VIEW = "runs.view_pausedqueue"


@admin.register(PausedQueue)
class QueueAdmin(ReadOnlyAdmin):
    """One page: queues are not rows, they exist where a run, a graph, a worker or a pause names them."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(never_cache(self.changelist_view)), name="runs_pausedqueue_changelist"),
            path("pause/", wrap(self.pause_view), name="runs_pausedqueue_pause"),
            path("resume/", wrap(self.resume_view), name="runs_pausedqueue_resume"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        user: Any = request.user
        if not user.has_perm(VIEW):
            return refused(VIEW)
        found = [
            {
                "queue": queue,
                "waits": _waits(queue),
                "unserved": unserved(queue),
                "waiting": runs_matching(f"queue:{queue.name} status:pending"),
            }
            for queue in queues.overview()
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": "Queues",
            "opts": self.opts,
            "rows": found,
            "operates": user.has_perm(OPERATE),
            "needed": OPERATE,
        }
        return TemplateResponse(request, "admin/runs/pausedqueue/change_list.html", context)

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        return self._change(request, "paused")

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        return self._change(request, "resumed")

    def _change(self, request: HttpRequest, what: str) -> HttpResponse:
        user: Any = request.user
        for needed in (VIEW, OPERATE):
            if not user.has_perm(needed):
                return refused(needed)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name, reason = request.POST.get("queue", ""), storable(request.POST.get("reason", "").strip())
        if not QUEUE.fullmatch(name):
            self.message_user(request, f"{name[:64]!r} is no queue's name.", messages.ERROR)
        else:
            by = Operator(str(user), "admin", user.pk)
            change = queues.pause if what == "paused" else queues.resume
            changed = change(name, by=by, reason=reason)
            if changed:
                rows: Any = [PausedQueue(name=name)]
                LogEntry.objects.log_actions(user.pk, rows, CHANGE, f"{what.capitalize()}. {reason}".strip())
            self.message_user(request, _sentence(name, what, changed=changed))
        return HttpResponseRedirect(reverse("admin:runs_pausedqueue_changelist"))


def _waits(queue: queues.Queue) -> str:
    """For how long the first of its due runs waits."""
    since = queue.waiting_since
    return "" if since is None else seconds((clock.now() - since).total_seconds())


def _sentence(name: str, what: str, *, changed: bool) -> str:
    if not changed:
        return f"The queue {name} was {'paused' if what == 'paused' else 'not paused'} before."
    if what == "paused":
        return f"No worker claims runs of the queue {name} now. Those that execute continue."
    return f"Workers claim runs of the queue {name} again."
