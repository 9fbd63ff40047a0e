"""What an Auth file's handlers allow: one question for each action, whoever asks it, and its answer in one form."""

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

NO_FILTERS = (
    "items have no metadata. Each user has a store of its own; a handler may change value['namespace']."
)


async def authorize(principal: Principal, resource: str, action: str, value: dict[str, Any]) -> Principal:
    """Ask the Auth file whether a principal may do something; return the principal as it may do it.

    The returned one sees only what the handler's filter lets it see: every queryset's `for_principal` knows. Without an
    Auth file, or a handler for this, it is the same one.

    Args:
        resource: "threads" (also for runs), "assistants", "crons" or "store".
        action: As the Auth file calls it: "create", "read", "update", "delete", "search", "create_run", …
        value: What is asked for; the handler may change it, its metadata above all.

    Raises:
        HttpError: 403, or what the handler says.
    """
    file = configured.current()
    handler = file.handler(resource, action) if file is not None else None
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
    """What a handler is told about who asks for what."""
    user: Any = principal.auth_user
    if user.get("kind") == "StudioUser":
        user = Auth.types.StudioUser(user.identity, is_authenticated=True)
    return Auth.types.AuthContext(
        permissions=list(user.permissions), user=user, resource=resource, action=action
    )
