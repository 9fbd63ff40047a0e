"""Whether an Auth file lets a request do what it asks for: before its view, on every route."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, QueryDict
from ninja.errors import HttpError

from runs.conf import settings
from runs.exceptions import InvalidRequest
from runs.identity.auth_file.authorization import authorize
from runs.identity.auth_file.rules import Rule
from runs.identity.auth_file.values import bring_back, copied, handled, identifier
from runs.identity.principals import Principal
from runs.requests.parsing import BODY, parse
from threads.db.database import in_database
from threads.models import Thread

logger = logging.getLogger(__name__)

WRONG_VALUE = "The site's Auth file made a wrong change; its log says more."
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Parts of a batch that are asked about; one with more is refused by its view.
MOST_PARTS = 200


async def permitted(request: HttpRequest, principal: Principal, rule: Rule | None) -> Principal:
    """Ask the Auth file about what the request does; its handler may change the body."""
    if rule is None:
        raise HttpError(403, "The site's Auth file cannot decide about this route: it has no rule.")
    match = request.resolver_match
    path = match.kwargs if match else {}
    reads = request.method in SAFE_METHODS
    body = request.GET.dict() if reads else body_of(request)
    asked = dict(body) if reads else body
    # Asked once for each part of a batch, and once whatever else the body is: a view may not look at it at all.
    parts = body[:MOST_PARTS] if rule.batch and isinstance(body, list) else []
    for part in parts or [body]:
        principal = await permit(principal, rule, path, part if isinstance(part, dict) else {})
    if reads and body != asked:
        request.GET = _query(request.GET, asked, body)  # type: ignore[assignment]
    return principal


def _query(query: QueryDict, asked: Mapping[str, Any], wanted: Mapping[str, Any]) -> QueryDict:
    """A query with what a handler changed about its parameters; of one that occurs twice it was shown the last."""
    changed = query.copy()
    for name in asked.keys() | wanted.keys():
        value = wanted.get(name)
        if value is None:
            changed.pop(name, None)
        elif value != asked.get(name):
            changed[name] = ".".join(value) if isinstance(value, list) else str(value)
    return changed


async def permit(
    principal: Principal, rule: Rule, path: Mapping[str, Any], body: dict[str, Any]
) -> Principal:
    """Return the principal as it may do what a rule is about: for requests, and for each command of the protocol.

    Args:
        path: The parameters of the route's path: `{"thread_id": …}`.
        body: What is asked for, or a command's parameters; a handler of the Auth file may change it.

    Raises:
        HttpError: 403, the key's scopes do not reach that far, or the Auth file refuses; 404, its filter hides the thread;
            422, what is asked for is nothing that it could be asked about; 500, it made nonsense of it.
    """
    require_scope(principal, rule.scope)
    try:
        value = handled(rule, path, body)
    except InvalidRequest as error:
        raise HttpError(422, str(error)) from None
    shown = copied(value)
    principal = await authorize(principal, rule.resource, rule.action, value)
    try:
        bring_back(rule, path.keys(), shown, value, body)
    except ValueError as error:
        logger.error(
            "The Auth file's handler for %s %s changed what it may not: %s.",
            rule.resource,
            rule.action,
            error,
        )
        raise HttpError(500, WRONG_VALUE) from None
    if rule.resource == "threads" and rule.action not in ("create", "search"):
        named = shown if "thread_id" in path else value
        await hide_thread(principal, identifier(named.get("thread_id")))
    return principal


def require_scope(principal: Principal, scope: str) -> None:
    """Raise a 403 if a principal's key is not allowed that much."""
    if scope not in principal.scopes:
        has = " and ".join(sorted(principal.scopes)) or "nothing"
        raise HttpError(403, f"The API key may {has}; this needs a key with the scope '{scope}'.")


def body_of(request: HttpRequest) -> Any:
    """The request's body, parsed once: what a handler changes in it is what the view receives."""
    if not hasattr(request, BODY):
        if not request.body or request.method in SAFE_METHODS:
            return {}
        setattr(request, BODY, parse(request.body, depth=settings.JSON_DEPTH))
    return getattr(request, BODY)


async def hide_thread(principal: Principal, thread_id: object) -> None:
    """Raise a 404 for a thread that a filter hides, before a view does anything with it."""
    asked = principal.filters.get("threads") and isinstance(thread_id, UUID)
    if asked and await in_database(_hidden, principal, thread_id):
        raise HttpError(404, f"Thread with ID {thread_id} not found")


def _hidden(principal: Principal, thread_id: object) -> bool:
    # Only of the principal's own: another user's thread is to look like one that is not there.
    threads = Thread.objects.filter(id=str(thread_id), user_id=principal.user_id)
    return threads.exists() and not threads.for_principal(principal).exists()
