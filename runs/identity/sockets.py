"""A websocket's principal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from ninja.errors import HttpError

from runs.conf import settings
from runs.identity.auth_file import configured
from runs.identity.authentication import authenticated
from runs.identity.credentials import Credentials, Proof, identified
from runs.identity.origins import may_borrow
from runs.identity.principals import Principal
from runs.identity.standing import Standing

#: What a page has to add itself.
SHOWN = frozenset({"authorization", "x-api-key"})
#: A page cannot send headers with a websocket: `new WebSocket(url, [KEY_FOLLOWS, key])` stands for `X-Api-Key`.
KEY_FOLLOWS = "api-key"


async def principal_of_scope(scope: Mapping[str, Any]) -> Principal:
    """Return the principal of a websocket, from the scope of its handshake: session, API key, or the local user.

    A socket outlives a logout: `standing_of_scope` asks again. Whoever accepts it calls `runs.requests.limits.hold_connection`; what
    the principal may do is asked of each message, with `runs.identity.auth_file.permission.permit`.

    Raises:
        AuthenticationError: 401, nobody has shown who they are.
        HttpError: 403, the page that connects is another site's.
    """
    credentials = credentials_of_scope(scope)
    principal, proof = await identified(credentials, _authenticator(credentials, scope))
    shown = proof is Proof.KEY or (proof is Proof.AUTH_FILE and SHOWN & credentials.headers.keys())
    origin = credentials.headers.get("origin")
    host, local = credentials.headers.get("host"), proof is Proof.LOCAL
    if not shown and not may_borrow(origin, settings.CORS_ORIGINS, host=host, local=local):
        raise HttpError(403, "Another site's pages cannot connect with what the browser adds.")
    return principal


def standing_of_scope(scope: Mapping[str, Any], principal: Principal, thread_id: UUID) -> Standing:
    """What tells whether the principal of a websocket still holds, while it is open."""
    credentials = credentials_of_scope(scope)
    return Standing(principal, credentials, _authenticator(credentials, scope), thread_id=thread_id)


def _authenticator(
    credentials: Credentials, scope: Mapping[str, Any]
) -> Callable[[], Awaitable[Principal]] | None:
    file = configured.current()
    if file is None or not file.authenticator:
        return None
    return partial(_authenticated, file, credentials, scope)


async def _authenticated(
    file: configured.AuthFile, credentials: Credentials, scope: Mapping[str, Any]
) -> Principal:
    route = scope.get("url_route") or {}
    available = {
        "request": None,
        "method": "GET",
        "path": scope.get("path", ""),
        "path_params": dict(route.get("kwargs", {})),
        "query_params": dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))),
        "body": {},
    }
    return await authenticated(file, credentials, available)


def credentials_of_scope(scope: Mapping[str, Any]) -> Credentials:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if subprotocol_of_scope(scope) == KEY_FOLLOWS:
        headers.setdefault("x-api-key", scope["subprotocols"][1])
    client = scope.get("client")
    return Credentials(headers, cookies_in(headers.get("cookie", "")), client[0] if client else None)


def subprotocol_of_scope(scope: Mapping[str, Any]) -> str | None:
    """What the handshake has to be accepted with, for a browser closes a socket whose subprotocols nobody chose from."""
    offered = scope.get("subprotocols") or []
    return KEY_FOLLOWS if len(offered) == 2 and offered[0] == KEY_FOLLOWS else None


def cookies_in(header: str) -> dict[str, str]:
    """The cookies of a Cookie header; none if it is malformed."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
