"""Authentication of the project's own routes (`enable_custom_route_auth`, `middleware_order`)."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from ninja.errors import AuthenticationError, HttpError

from deerflow_site.http.routes import path_of
from runs.api.openapi.document import PUBLIC
from runs.exceptions import RunsError
from runs.identity.principals import Principal
from runs.identity.requests import principal_elsewhere
from runs.identity.sockets import principal_of_scope
from runs.requests.mount import route_of
from runs.server.cors import PREFLIGHT, header
from runs.server.limits import refuse
from runs.server.paths import match_of
from runs.server.types import Receive, Scope, Send


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks if a page of another site may send a request; it never sends credentials with that."""
    return scope["type"] == "http" and scope["method"] == "OPTIONS" and bool(header(scope, PREFLIGHT))


class Refused(NamedTuple):
    status: int
    detail: str


def needs_authentication(scope: Scope) -> bool:
    """Whether the route of the site's API refuses requests without credentials."""
    return path_of(scope) not in PUBLIC and route_of(match_of(scope)) is not None


async def authenticate(scope: Scope) -> Refused | None:
    """Authenticate a request as the API would, and put its user into the scope, where Starlette looks for it."""
    if is_preflight(scope):
        return None
    try:
        if scope["type"] == "websocket":
            principal = await principal_of_scope(scope)
        else:
            principal = await principal_elsewhere(ASGIRequest(scope, BytesIO()))
    except AuthenticationError as error:
        return Refused(401, str(error))
    except HttpError as error:
        return Refused(error.status_code, str(error))
    except DisallowedHost:
        return Refused(400, "The Host header is not one that this server knows.")
    except RunsError as error:
        return Refused(403, str(error))
    admit(scope, principal)
    return None


def admit(scope: Scope, principal: Principal) -> None:
    user = principal.auth_user
    permissions: Any = getattr(user, "permissions", None) or ()
    scope["user"] = user
    scope["auth"] = SimpleNamespace(scopes=["authenticated", *permissions])


async def turn_away(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4401 if refused.status == 401 else 4403})
    else:
        await refuse(send, refused.status, refused.detail)
