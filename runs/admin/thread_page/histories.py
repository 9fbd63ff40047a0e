"""A thread's checkpoints: what each changed, and a new run from any of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache

from runs.admin.rights import OPERATE, READ, VIEW_THREADS, missing, refused
from runs.admin.run_page.acting import act
from runs.admin.run_page.facts import page
from runs.conf import settings
from runs.encoding import encode
from runs.exceptions import InvalidRequest, RunsError
from runs.identity.principals import Principal
from runs.lifecycle.operators.operations import Operator
from runs.models import Run
from runs.process.current import call
from runs.protocols.differences import differences
from runs.requests.parsing import parse
from runs.states.reads import readable_by
from threads.db.values.text import storable
from threads.display import short_id
from threads.models import Thread
from threads.redaction import redacted
from threads.state.read import read_history

#: The checkpoints of one page.
PAGE = 20
#: What a checkpoint comes from, in words.
SOURCES = {"input": "input", "loop": "step", "update": "edit", "fork": "copy"}


class Histories:
    """The pages of a thread's history, below the page of threads."""

    def __init__(self, page: ModelAdmin) -> None:
        self.page = page

    def urls(self, wrap: Callable[..., Any]) -> list[Any]:
        return [
            path("<uuid:thread_id>/states/", wrap(never_cache(self.show)), name="threads_thread_states"),
            path("<uuid:thread_id>/fork/", wrap(self.fork), name="threads_thread_fork"),
        ]

    def show(self, request: HttpRequest, thread_id: UUID) -> HttpResponse:
        if lacking := missing(request, VIEW_THREADS, READ):
            return refused(lacking)
        thread, run = _found(thread_id)
        self.page.note_reading(request, thread)  # type: ignore[attr-defined]
        states, why = _states(thread, request.GET.get("before"))
        busy = Run.objects.in_flight().filter(thread=thread_id).exists()
        forks = "" if run is not None else "it has no run"
        forks = forks or ("a run of the thread is in flight" if busy else "")
        if lacking := missing(request, OPERATE):
            forks = f"you need the permission {lacking}"
        more = states[PAGE - 1]["id"] if len(states) > PAGE else None
        context = {
            **self.page.admin_site.each_context(request),
            "title": "History",
            "opts": self.page.opts,
            "up": {"name": str(thread), "url": reverse("admin:threads_thread_change", args=[thread_id])},
            "thread": thread,
            "short": short_id(thread.id),
            "states": states[:PAGE],
            "why_not_read": why,
            "why_not_fork": forks,
            "more": more,
        }
        return TemplateResponse(request, "admin/runs/thread/states.html", context)

    def fork(self, request: HttpRequest, thread_id: UUID) -> HttpResponse:
        """Continue from a checkpoint as a new run, as it is or with a changed state, as the run page does."""
        if lacking := missing(request, VIEW_THREADS, READ, OPERATE):
            return refused(lacking)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        _, run = _found(thread_id)
        user: Any = request.user
        given = request.POST
        try:
            values = _parsed(given.get("values", ""))
            if run is None:
                raise Http404
            body = {
                "action": "fork",
                "checkpoint": {"checkpoint_id": given.get("checkpoint", "")},
                "values": values,
                "as_node": given.get("as_node", "").strip(),
                "reason": given.get("reason", ""),
            }
            done = act(run, Operator(str(user), "admin", user.pk), body)
        except RunsError as error:
            self.page.message_user(request, f"Nothing was changed: {error}", messages.ERROR)
        else:
            rows: Any = [run]
            reason = storable(given.get("reason", "").strip())
            said = f"fork: {done['outcome']}{f' ({reason})' if reason else ''}"
            LogEntry.objects.log_actions(user.pk, rows, CHANGE, said)
            return HttpResponseRedirect(page("run", done["run"]))
        return HttpResponseRedirect(reverse("admin:threads_thread_states", args=[thread_id]))


def _parsed(text: str) -> Any:
    """The state of a form; None if it has none. Raises InvalidRequest."""
    if not text.strip():
        return None
    try:
        return parse(text.encode(), depth=settings.JSON_DEPTH)
    except InvalidRequest as error:
        raise InvalidRequest(f"the state is no JSON that can be stored ({error}).") from None


def _states(thread: Thread, before: str | None) -> tuple[list[dict[str, Any]], str]:
    """One page of states and the next one, newest first, each with what it changed; or why there are none."""
    try:
        found = call(_read(thread, before))
    except Exception as error:  # the graph is the site's code
        return [], f"The states cannot be read: {type(error).__name__}."
    shown = [
        {
            "id": state["checkpoint_id"],
            "step": (state["metadata"] or {}).get("step"),
            "source": SOURCES.get((state["metadata"] or {}).get("source", ""), "step"),
            "at": parse_datetime(state["created_at"]) if state["created_at"] else None,
            "next": _steps(state["next"]),
            "asks": any(task.get("interrupts") for task in state["tasks"]),
            "changes": _changes(
                found[place + 1]["values"] if place + 1 < len(found) else {}, state["values"]
            ),
        }
        for place, state in enumerate(found)
    ]
    return shown, ""


def _steps(names: list[str]) -> str:
    """What comes next, with a number for a node that comes several times."""
    counted = Counter("the first step" if name == "__start__" else name for name in names)
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in counted.items())


def _changes(before: Any, after: Any) -> list[dict[str, Any]]:
    """What changed, by key: lines to remove (`del`) and to add (`add`), without secrets."""
    found = []
    for change in differences(redacted(before), redacted(after)):
        parts = change.get("items") or [{"type": "", **change}]
        lines = [
            (mark, f"{part['type']} {part[name]}".strip())
            for part in parts
            for mark, name in (("del", "before"), ("add", "after"))
            if part[name] is not None
        ]
        found.append({"key": change["key"], "lines": lines})
    return found


async def _read(thread: Thread, before: str | None) -> list[dict[str, Any]]:
    states = read_history(
        thread, open_graph=readable_by(Principal(thread.user_id)), limit=PAGE + 1, before=before
    )
    async with aclosing(states):
        return [json.loads(encode(each)) async for each in states]


def _found(thread_id: UUID) -> tuple[Thread, Run | None]:
    """A thread and its newest run."""
    thread = Thread.objects.visible().select_related("user").filter(id=thread_id).first()
    if thread is None:
        raise Http404
    newest = Run.objects.filter(thread=thread_id).order_by("-created_at")
    return thread, newest.select_related("assistant").first()
