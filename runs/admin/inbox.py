"""The inbox: every question that waits for a person, by pages, answered in place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from runs.admin.rights import OPERATE, READ, VIEW_THREADS, note_readings, refused
from runs.admin.run_page.facts import page
from runs.admin.run_page.reading import milliseconds
from runs.admin.run_page.views import answered
from runs.lifecycle.operators.asking import executed_last
from runs.models import Assistant, Run, Waiting
from threads.admin.base import BY_USERNAME, ReadOnlyAdmin
from threads.db import clock
from threads.models import ThreadStatus
from threads.redaction import redacted

#: The most threads of a page, and the most names of assistants that its filter offers.
MOST, OFFERED = 50, 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: A thread's place in the order: microseconds of its change, and its id.
PLACE = re.compile(r"(\d{1,17})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page of the inbox shows."""

    #: The name of the assistant, and the user's; "" for all.
    assistant: str = ""
    user: str = ""
    newest_first: bool = False
    #: The place of the last thread of the page before; None for the first page.
    after: tuple[datetime, UUID] | None = None

    @classmethod
    def of(cls, given: QueryDict) -> Wanted:
        # PostgreSQL refuses a zero character in a text.
        assistant, user = (given.get(name, "").replace("\x00", "").strip() for name in ("assistant", "user"))
        return cls(assistant, user, given.get("order") == "newest", _place(given.get("after", "")))


def _place(text: str) -> tuple[datetime, UUID] | None:
    found = PLACE.fullmatch(text)
    return found and (EPOCH + timedelta(microseconds=int(found[1])), UUID(found[2]))


def _named(thread: Any) -> str:
    """A thread's place as a page's address has it."""
    return f"{(thread.state_updated_at - EPOCH) // timedelta(microseconds=1)}-{thread.id.hex}"


def waiting(wanted: Wanted) -> list[Any]:
    """The threads of a page and one more, with the id of the `asking` run of each."""
    asked = executed_last(OuterRef("pk"))
    found = (
        Waiting.objects.visible()
        .filter(status=ThreadStatus.INTERRUPTED)
        .exclude(interrupts={})
        .select_related("user")
        .only("id", "interrupts", "metadata", "state_updated_at", "user")
        .annotate(asking=Subquery(asked.values("id")[:1]))
    )
    if wanted.user:
        found = found.filter(**{BY_USERNAME: wanted.user})
    if wanted.assistant:
        found = found.alias(of=Subquery(asked.values("assistant__name")[:1])).filter(of=wanted.assistant)
    side, sign = ("lt", "-") if wanted.newest_first else ("gt", "")
    if wanted.after is not None:
        at, last = wanted.after
        later = Q(**{f"state_updated_at__{side}": at}) | Q(state_updated_at=at, **{f"id__{side}": last})
        found = found.filter(later)
    return list(found.order_by(f"{sign}state_updated_at", f"{sign}id")[: MOST + 1])


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
        own = Assistant.objects.filter(user=None).order_by("name").values_list("name", flat=True)
        context = {
            **self.admin_site.each_context(request),
            "title": "Inbox",
            "opts": self.opts,
            "items": {**self._items(request), "assistants": list(own[:OFFERED])},
        }
        return TemplateResponse(request, "admin/runs/waiting/change_list.html", context)

    def items_view(self, request: HttpRequest) -> HttpResponse:
        return answered(self._items(request)) if self.has_view_permission(request) else refused(VIEW_THREADS)

    def _items(self, request: HttpRequest) -> dict[str, Any]:
        user: Any = request.user
        reads, operates = user.has_perm(READ), user.has_perm(OPERATE)
        wanted = Wanted.of(request.GET)
        threads = waiting(wanted)
        runs = Run.objects.select_related("assistant").in_bulk([each.asking for each in threads])
        shown = [(each, runs[each.asking]) for each in threads[:MOST] if each.asking in runs]
        if reads:
            note_readings([run.id for _, run in shown], user)
        lacks = [name for name, has in ((READ, reads), (OPERATE, operates)) if not has]
        return {
            "items": [item(thread, run, reads=reads) for thread, run in shown],
            "next": _named(threads[MOST - 1]) if len(threads) > MOST else None,
            "first": wanted.after is None,
            "filters": {
                "assistant": wanted.assistant,
                "user": wanted.user,
                "order": "newest" if wanted.newest_first else "oldest",
            },
            "missing": _needed(lacks),
            "now": milliseconds(clock.now()),
        }


def _needed(permissions: list[str]) -> str:
    """The permissions in words, or ""."""
    return f"the permission{'s' * (len(permissions) > 1)} {' and '.join(permissions)}" if permissions else ""
