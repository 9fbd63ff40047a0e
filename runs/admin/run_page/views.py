"""The views of a run's page: JSON for its parts, its export, and its actions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache

from runs.admin.rights import OPERATE, READ, note_reading
from runs.admin.run_page import logs, reading
from runs.admin.run_page.acting import act
from runs.admin.run_page.costs import add_costs
from runs.admin.run_page.facts import facts
from runs.admin.run_page.importing import import_page, site_of
from runs.admin.run_page.steps import Step
from runs.admin.run_page.transcripts import transcript
from runs.assistants.drawing import drawn
from runs.conf import settings
from runs.encoding import encode
from runs.events.endings import removed
from runs.exceptions import InvalidRequest, LimitReached, NotFound, RequestTooLarge, RunsError, ThreadBusy
from runs.lifecycle.operators.operations import Operator
from runs.lifecycle.operators.transfers import exported
from runs.models import Assistant, Run
from runs.process.current import call
from runs.protocols.differences import differences
from runs.protocols.outputs import differing, outputs
from runs.requests.parsing import parse
from threads.db import clock
from threads.models import Thread
from threads.redaction import redacted

View = Callable[..., HttpResponse]
VIEW = "runs.view_run"
#: The namespace of the root graph in a query.
ROOT = "."
#: The most characters of an export's events.
MOST_EXPORTED = 64 * 1024 * 1024
#: The statuses of refusals.
STATUSES = {NotFound: 404, InvalidRequest: 400, ThreadBusy: 409, LimitReached: 429, RequestTooLarge: 413}


def urls(wrap: Callable[[View], View]) -> list[Any]:
    """The paths below the admin's runs; `wrap` is the site's `admin_view`."""
    views: dict[str, View] = {
        "facts": show_facts, "spans": show_spans, "step": show_step, "events": show_events,
        "export": export, "graph": show_graph, "compare": compare, "act": take_action, "transcript": show_transcript,
    }  # fmt: skip
    return [
        path("import/", wrap(never_cache(partial(import_page, site_of(wrap)))), name="runs_run_import"),
        *(
            path(f"<uuid:run_id>/page/{name}/", wrap(never_cache(view)), name=f"runs_run_page_{name}")
            for name, view in views.items()
        ),
    ]


def answered(value: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(encode(value), content_type="application/json", status=status)


def refused(why: str, status: int) -> HttpResponse:
    return JsonResponse({"detail": why}, status=status)


def permitted(*permissions: str) -> Callable[[Callable[..., HttpResponse]], View]:
    """Answer 403 without the permissions, and 404 for an unknown run; pass the run to the view."""

    def decorate(view: Callable[..., HttpResponse]) -> View:
        def guarded(request: HttpRequest, run_id: UUID) -> HttpResponse:
            user: Any = request.user
            if missing := [each for each in (VIEW, *permissions) if not user.has_perm(each)]:
                return refused(f"You need the permission {missing[0]}.", 403)
            run = (
                Run.objects.select_related("assistant", "user", "worker", "thread").filter(id=run_id).first()
            )
            if run is None:
                return refused("There is no such run (any more).", 404)
            if READ in permissions:
                note_reading(run, user)
            return view(request, run)

        return guarded

    return decorate


def _thread(run: Run) -> Thread | None:
    return Thread.objects.filter(id=run.thread_id).first()


@permitted()
def show_facts(request: HttpRequest, run: Run) -> HttpResponse:
    user: Any = request.user
    found = facts(run, _thread(run), operates=user.has_perm(OPERATE), reads=user.has_perm(READ))
    if found["failure"] or found["questions"]:
        note_reading(run, user)
    return answered(found)


@permitted()
def show_spans(request: HttpRequest, run: Run) -> HttpResponse:
    timeline = reading.timeline_of(run, _thread(run))
    add_costs(timeline.spans)
    return answered({**timeline.as_json(), "status": run.status, "now": reading.milliseconds(clock.now())})


@permitted(READ)
def show_step(request: HttpRequest, run: Run) -> HttpResponse:
    asked = request.GET
    begin, end = (_number(asked.get(name)) for name in ("begin", "end"))
    key = asked.get("span", "")
    attempt = _number(key[1:].partition(":")[0])
    epochs = [each.epoch for each in reading.tries(run) if each.number == attempt]
    namespace = [part for part in asked.get("namespace", "").split("|") if part]
    step = Step(
        key,
        epochs=epochs,
        namespace=namespace,
        node=asked.get("node", ""),
        begin=begin or 0,
        end=end or 2**62,
    )
    for entry in reading.entries(run.id):
        step.feed(entry)
    found = step.as_json()
    failed = [task["id"] for task in (run.failure or {}).get("tasks", ())]
    if run.failure and key.partition(":")[2] in failed:
        found["traceback"] = run.failure["traceback"]
    return answered(found)


@permitted(READ)
def show_events(request: HttpRequest, run: Run) -> HttpResponse:
    asked = request.GET
    places = {}
    for name in ("after", "before"):
        if text := asked.get(name):
            places[name] = reading.position(text)
            if places[name] is None:
                return refused(f"{name} must be an event's id, such as 3-17.", 400)
    kinds = [kind for kind in asked.get("kind", "").split(",") if kind]
    found = logs.page(
        run.id,
        **places,
        kinds=kinds,
        namespace="" if asked.get("namespace") == ROOT else asked.get("namespace"),
        data=asked.get("data") == "1",
    )
    # Asked after the log was read, because removal may begin meanwhile.
    return answered({**found, "status": run.status, "removed": removed(run.id)})


@permitted(READ)
def show_transcript(request: HttpRequest, run: Run) -> HttpResponse:
    return answered(transcript(run))


@permitted(READ)
def export(request: HttpRequest, run: Run) -> HttpResponse:
    note_reading(run, request.user, "export")
    body = "".join(f"{line}\n" for line in exported(run, most=MOST_EXPORTED))
    name = f'attachment; filename="run-{run.id}.jsonl"'
    return HttpResponse(body, content_type="application/jsonl", headers={"Content-Disposition": name})


@permitted()
def show_graph(request: HttpRequest, run: Run) -> HttpResponse:
    return picture(request, run.assistant)


def picture(request: HttpRequest, assistant: Assistant) -> HttpResponse:
    """The nodes and edges of an assistant's graph, or why it cannot be drawn."""
    try:
        found = call(drawn(assistant, xray=request.GET.get("xray") == "1", user=None))
    except Exception as error:
        return answered(
            {"nodes": [], "edges": [], "why": f"The graph cannot be drawn: {type(error).__name__}."}
        )
    nodes = [{"id": str(node["id"])} for node in found["nodes"]]
    return answered({"nodes": nodes, "edges": found["edges"]})


@permitted(READ)
def compare(request: HttpRequest, run: Run) -> HttpResponse:
    """This run and another one: their spans, and the differences of their steps' outputs and of their last states."""
    try:
        other_id = UUID(request.GET.get("with", ""))
    except ValueError:
        return refused("Give the whole id of the other run.", 400)
    other = Run.objects.select_related("assistant", "user").filter(id=other_id).first()
    if other is None:
        return refused("There is no such run.", 404)
    note_reading(other, request.user)
    gave = [outputs(reading.entries(each.id)) for each in (run, other)]
    states = [redacted(reading.last_state(each.id)) for each in (run, other)]
    return answered(
        {
            "runs": [
                {"id": str(each.id), "status": each.status, "error": each.error} for each in (run, other)
            ],
            "spans": [reading.timeline_of(each, _thread(each)).as_json()["spans"] for each in (run, other)],
            "outputs": differing(*gave),
            "difference": differences(*states),
        }
    )


@permitted(OPERATE)
def take_action(request: HttpRequest, run: Run) -> HttpResponse:
    if request.method != "POST":
        return refused("Use POST.", 405)
    user: Any = request.user
    try:
        body = parse(request.body or b"{}", depth=settings.JSON_DEPTH)
        if not isinstance(body, dict):
            raise InvalidRequest("The body must be an object.")
        if body.get("action") in ("answer", "fork", "rerun") and not user.has_perm(READ):
            return refused(f"You need the permission {READ}.", 403)
        done = act(run, Operator(str(user), "admin", user.pk), body)
    except RunsError as error:
        return refused(
            str(error), next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 409)
        )
    row: Any = [run]
    reason = body.get("reason", "").strip()
    said = f"{body['action']}: {done['outcome']}{f' ({reason})' if reason else ''}"
    LogEntry.objects.log_actions(user.pk, row, CHANGE, said)
    return answered(done)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
