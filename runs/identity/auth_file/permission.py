"""Permission checks by scopes and the Auth file, on every route before its view."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest, QueryDict
from ninja.errors import HttpError

from runs.conf import settings
from runs.exceptions import InvalidRequest
from runs.identity.auth_file import configured
from runs.identity.auth_file.authorization import authorize
from runs.identity.auth_file.rules import Rule
from runs.identity.auth_file.values import changed, copied, handled, identifier
from runs.identity.principals import Principal
from runs.requests.parsing import BODY, parse
from threads.db.database import in_database
from threads.filters import shares
from threads.models import Thread

logger = logging.getLogger(__name__)

WRONG_VALUE = "The site's Auth file made a wrong change; its log says more."
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Maximum parts of a batch that are checked; the view refuses a larger batch.
MOST_PARTS = 200


@dataclass(frozen=True, slots=True)
class Permitted:
    """A request that may be answered, as the Auth file's handlers leave it.

    Attributes:
        principal: The principal with the filters.
        body: The request's body, or the parameters of its query, with the handlers' changes.
    """

    principal: Principal
    body: Any


async def permitted(request: HttpRequest, principal: Principal, rule: Rule | None) -> Permitted:
    """Check a request against the Auth file. Raises as `permit` does."""
    if rule is None:
        raise HttpError(403, "The site's Auth file cannot decide about this route: it has no rule.")
    match = request.resolver_match
    path = match.kwargs if match else {}
    body = request.GET.dict() if request.method in SAFE_METHODS else body_of(request)
    if not (rule.batch and isinstance(body, list)):
        # The view may ignore a body that is no object.
        allowed = await permit(principal, rule, path, body if isinstance(body, dict) else {})
        return allowed if isinstance(body, dict) else Permitted(allowed.principal, body)
    if not body:
        principal = (await permit(principal, rule, path, {})).principal
    parts: list[Any] = []
    for part in body[:MOST_PARTS]:
        allowed = await permit(principal, rule, path, part if isinstance(part, dict) else {})
        principal = allowed.principal
        parts.append(allowed.body if isinstance(part, dict) else part)
    return Permitted(principal, [*parts, *body[MOST_PARTS:]])


def query_with(query: QueryDict, wanted: Mapping[str, Any]) -> QueryDict:
    """A query with a handler's changes.

    Of a repeated parameter, the handler has seen the last value.
    """
    asked, made = query.dict(), query.copy()
    for name in asked.keys() | wanted.keys():
        value = wanted.get(name)
        if value is None:
            made.pop(name, None)
        elif value != asked.get(name):
            made[name] = ".".join(value) if isinstance(value, list) else str(value)
    return made


async def permit(
    principal: Principal, rule: Rule, path: Mapping[str, Any], body: dict[str, Any]
) -> Permitted:
    """Check a request or a protocol command.

    Args:
        path: The parameters of the route's path: `{"thread_id": …}`.
        body: The request's body or a command's parameters.

    Raises:
        HttpError: 403, the key's scopes or the Auth file do not allow it; 404, a filter hides the
            thread; 422, the body has a form that no handler expects; 500, a handler made an invalid
            change.
    """
    require_scope(principal, rule.scope)
    if configured.current() is None:
        # A copy that is not used takes as long as parsing the body.
        return Permitted(principal, body)
    try:
        value = handled(rule, path, body)
    except InvalidRequest as error:
        raise HttpError(422, str(error)) from None
    shown = copied(value)
    principal = await authorize(principal, rule.resource, rule.action, value)
    try:
        body = changed(rule, path.keys(), shown, value, body)
    except ValueError as error:
        logger.error(
            "The Auth file's handler for %s %s made an invalid change: %s.",
            rule.resource,
            rule.action,
            error,
        )
        raise HttpError(500, WRONG_VALUE) from None
    if rule.resource == "threads" and rule.action not in ("create", "search"):
        named = shown if "thread_id" in path else value
        await hide_thread(principal, identifier(named.get("thread_id")))
    return Permitted(principal, body)


def require_scope(principal: Principal, scope: str) -> None:
    """Raise a 403 if a principal's key lacks a scope."""
    if scope not in principal.scopes:
        has = " and ".join(sorted(principal.scopes)) or "nothing"
        raise HttpError(403, f"The API key may {has}; this needs a key with the scope '{scope}'.")


def body_of(request: HttpRequest) -> Any:
    """The request's body, parsed once."""
    if not hasattr(request, BODY):
        if not request.body or request.method in SAFE_METHODS:
            return {}
        setattr(request, BODY, parse(request.body, depth=settings.JSON_DEPTH))
    return getattr(request, BODY)


async def hide_thread(principal: Principal, thread_id: object) -> None:
    """Raise a 404 for a thread that a filter hides, before the view uses it."""
    asked = principal.filters.get("threads") and isinstance(thread_id, UUID)
    if asked and await in_database(is_hidden, principal, cast(UUID, thread_id)):
        raise HttpError(404, f"Thread with ID {thread_id} not found")


def is_hidden(principal: Principal, thread_id: UUID) -> bool:
    """Whether a filter hides a thread of the principal's user.

    Any other thread must look like a missing one, which is up to the view: in particular where users share
    threads, so that one of others would be told apart here.
    """
    if shares(principal, "threads"):
        return False
    threads = Thread.objects.filter(id=thread_id, user_id=principal.user_id)
    return threads.exists() and not threads.for_principal(principal).exists()
