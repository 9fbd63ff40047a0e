"""The actions of a run's page, from a request's JSON to the functions that operators share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from runs.admin.run_page.facts import page
from runs.exceptions import InvalidRequest
from runs.lifecycle.operators import operations
from runs.lifecycle.operators.operations import Operator, Repeated
from runs.lifecycle.operators.steps import checkpoint_before
from runs.models import Run
from runs.process.current import call
from runs.states.operator_edits import edit_as_operator, edit_input

Body = Mapping[str, Any]
#: The most characters of what a record says about a step, and about what was edited.
LONGEST_ABOUT = 200
#: The most characters of a request's own name.
LONGEST_REQUEST = 64


def act(run: Run, by: Operator, body: Body) -> dict[str, Any]:
    """Take the action that a request names; return its outcome in words, and the address of a new run.

    A `request` that is sent twice makes one run. Raises what `runs.lifecycle.operators.operations` raises, and
    InvalidRequest.
    """
    request = body.get("request") or ""
    if not isinstance(request, str) or len(request) > LONGEST_REQUEST:
        raise InvalidRequest(f"request must be text of at most {LONGEST_REQUEST} characters.")
    try:
        return _acted(run, replace(by, request=request), body)
    except Repeated as error:
        return _became(error.run_id)


def _acted(run: Run, by: Operator, body: Body) -> dict[str, Any]:
    reason = body.get("reason") or ""
    if not isinstance(reason, str):
        raise InvalidRequest("reason must be text.")
    match body.get("action"):
        case "cancel":
            return {"outcome": operations.cancel(run.id, by, reason=reason)}
        case "roll_back":
            return {"outcome": operations.cancel(run.id, by, reason=reason, roll_back=True)}
        case "requeue":
            return {"outcome": operations.requeue(run.id, by, reason=reason)}
        case "priority":
            priority = body.get("priority")
            if not isinstance(priority, int) or isinstance(priority, bool):
                raise InvalidRequest("priority must be a whole number.")
            return {"outcome": operations.set_priority(run.id, by, priority, reason=reason)}
        case "answer":
            answers = body.get("answers")
            if not isinstance(answers, Mapping):
                raise InvalidRequest("answers must be an object.")
            return _became(operations.answer(run.id, by, answers, reason=reason).id)
        case "retry":
            return _became(operations.retry(run.id, by, reason=reason).id)
        case "fork":
            return _became(_fork(run, by, body, reason).id)
        case "rerun":
            return _became(_rerun(run, by, body, reason).id)
    raise InvalidRequest("Unknown action.")


def _fork(run: Run, by: Operator, body: Body, reason: str) -> Run:
    """Continue from a checkpoint, after an edit of its state if there is one."""
    checkpoint = body.get("checkpoint")
    if not isinstance(checkpoint, Mapping):
        raise InvalidRequest("checkpoint must be an object.")
    if body.get("values") is None:
        return operations.fork(run.id, by, checkpoint, reason=reason, kind="replay")
    as_node = body.get("as_node") or None
    if as_node is not None and not isinstance(as_node, str):
        raise InvalidRequest("as_node must be the name of a node.")
    operations.ensure(run.id, "fork", by)
    kept = {name: checkpoint[name] for name in ("checkpoint_id",) if name in checkpoint}
    then = partial(operations.fork, run.id, by, reason=reason)
    return call(edit_as_operator(run.thread_id, body["values"], as_node=as_node, checkpoint=kept, then=then))


def _rerun(run: Run, by: Operator, body: Body, reason: str) -> Run:
    """Run a step again, and what follows it, with an edited input."""
    task_id, given = body.get("task"), body.get("input")
    if not isinstance(task_id, str) or not isinstance(given, Mapping):
        raise InvalidRequest("task must be a step's id, and input an object.")
    operations.ensure(run.id, "fork", by)
    before = {"checkpoint_id": checkpoint_before(run.id, task_id)}
    name = body.get("name")
    step = f", from {name if isinstance(name, str) and name else 'a step'}"[:LONGEST_ABOUT]

    def then(place: Mapping[str, Any], edited: list[str]) -> Run:
        about = step + (f" with other {', '.join(edited)}"[:LONGEST_ABOUT] if edited else "")
        return operations.fork(run.id, by, place, reason=reason, kind="rerun", about=about)

    return call(edit_input(run.thread_id, given, task_id=task_id, checkpoint=before, then=then))


def _became(run_id: UUID) -> dict[str, Any]:
    return {"outcome": "A new run began.", "run": str(run_id), "url": page("run", run_id)}
