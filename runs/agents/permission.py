"""What a user of the site may do by Python: the same as over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn
from uuid import UUID

from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied
from ninja.errors import HttpError

from runs.exceptions import InvalidRequest, NotFound
from runs.identity.auth_file import configured
from runs.identity.auth_file.named import ask_about_assistants
from runs.identity.auth_file.permission import Permitted, is_hidden, permit
from runs.identity.auth_file.rules import RULES, Rule
from runs.identity.authentication import known_details
from runs.identity.principals import Principal
from runs.models import Run
from threads.db.database import in_database

READ_RUN = RULES["GET", "/threads/{}/runs/{}"]
READ_STATE = RULES["GET", "/threads/{}/state"]
CREATE_THREAD = RULES["POST", "/threads"]
CREATE_RUN = RULES["POST", "/threads/{}/runs"]
#: Who asks on the record: the site's own code, for the user.
CODE = {"by": "code"}


def permitted(
    user: Any, rule: Rule, path: Mapping[str, Any], body: dict[str, Any], *, assistants: Iterable[str] = ()
) -> Permitted:
    """The principal of a user who may do this, and the body as the Auth file's handler left it.

    Raises PermissionDenied, NotFound for what is hidden, or InvalidRequest.
    """
    principal = _principal(user)
    if configured.current() is None:
        return Permitted(principal, body)
    principal = replace(principal, details=known_details(user.pk))
    allowed = async_to_sync(_asked)(principal, rule, path, body, assistants)
    hide(allowed.principal, path.get("thread_id"))
    return allowed


async def apermitted(
    user: Any, rule: Rule, path: Mapping[str, Any], body: dict[str, Any], *, assistants: Iterable[str] = ()
) -> Permitted:
    """Like `permitted`."""
    principal = _principal(user)
    if configured.current() is None:
        return Permitted(principal, body)
    principal = replace(principal, details=await in_database(known_details, user.pk))
    return await _asked(principal, rule, path, body, assistants)


def _principal(user: Any) -> Principal:
    if user.pk is None or not user.is_active:
        raise PermissionDenied("This user is not active.")
    return Principal(user.pk, asked_by=CODE)


async def _asked(
    principal: Principal,
    rule: Rule,
    path: Mapping[str, Any],
    body: dict[str, Any],
    assistants: Iterable[str],
) -> Permitted:
    try:
        allowed = await permit(principal, rule, path, body)
        return replace(allowed, principal=await ask_about_assistants(allowed.principal, assistants))
    except HttpError as error:
        _refuse(error)


def _refuse(error: HttpError) -> NoReturn:
    if error.status_code in (401, 403):
        raise PermissionDenied(str(error)) from None
    raise (NotFound if error.status_code == 404 else InvalidRequest)(str(error)) from None


def path_of_run(run_id: UUID, user: Any) -> dict[str, Any]:
    """The path of a run that may be the user's, about which its Auth file is asked next. Raises NotFound."""
    run = (
        Run.objects.for_principal(Principal.permitted_before(user.pk))
        .only("thread")
        .filter(id=run_id)
        .first()
    )
    if run is None:
        raise NotFound("Run not found")
    return {"thread_id": run.thread_id, "run_id": run_id}


def hide(principal: Principal, thread_id: UUID | None) -> None:
    """Raise NotFound for a thread that a filter hides, also one that the present transaction has
    created.
    """
    if thread_id is not None and principal.filters.get("threads") and is_hidden(principal, thread_id):
        raise NotFound(f"Thread with ID {thread_id} not found")
