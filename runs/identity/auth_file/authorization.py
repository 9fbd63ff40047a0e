"""Authorisation by an Auth file's handlers: one call per action, with one form of result."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from langgraph_sdk import Auth
from ninja.errors import HttpError

from runs.identity.auth_file import configured
from runs.identity.principals import Principal
from threads.filters import checked

logger = logging.getLogger(__name__)

NO_FILTERS = "items have no metadata; a handler may change value['namespace']."


async def authorize(principal: Principal, resource: str, action: str, value: dict[str, Any]) -> Principal:
    """Call the Auth file's handler for an action; return the principal with the handler's filter.

    The querysets' `for_principal` applies the filter. Without a handler for the action, there is
    none; without an Auth file, the principal is returned unchanged.

    Args:
        resource: "threads" (also for runs), "assistants", "crons" or "store".
        action: The Auth file's name: "create", "read", "update", "delete", "search", "create_run",
            …
        value: The request's data; the handler may change it, in particular its metadata.

    Raises:
        HttpError: 403, or the handler's own error.
    """
    file = configured.current()
    if file is None:
        return principal
    principal, handler = principal.sharing(resource), file.handler(resource, action)
    if handler is None:
        return principal
    try:
        verdict = await handler(ctx=context(principal, resource, action), value=value)
    except Auth.exceptions.HTTPException as refusal:
        raise HttpError(refusal.status_code, str(refusal.detail)) from None
    except AssertionError as refusal:
        raise HttpError(403, str(refusal) or "Forbidden") from None
    if verdict is None or verdict is True:
        return principal
    if verdict is False:
        raise HttpError(403, "Forbidden")
    if resource == "store":
        _say_once(
            f"The Auth file's handler for store {action} returned a filter, which has no effect: {NO_FILTERS}"
        )
        return principal
    try:
        return principal.narrowed(resource, checked(verdict))
    except ValueError as error:
        logger.error(
            "The Auth file's handler for %s %s returned a wrong filter: %s.", resource, action, error
        )
        raise HttpError(500, "The site's Auth file returned a wrong filter; its log says more.") from None


@cache
def _say_once(warning: str) -> None:
    logger.warning("%s", warning)


def context(principal: Principal, resource: Any, action: Any) -> Any:
    """The context that a handler receives: the user, the resource and the action."""
    user: Any = principal.auth_user
    if user.get("kind") == "StudioUser":
        user = Auth.types.StudioUser(user.identity, is_authenticated=True)
    return Auth.types.AuthContext(
        permissions=list(user.permissions), user=user, resource=resource, action=action
    )
