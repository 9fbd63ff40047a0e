"""The authentication of websockets."""

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

#: Headers that only the page itself can add.
SHOWN = frozenset({"authorization", "x-api-key"})
#: Pages cannot send headers with a websocket. `new WebSocket(url, [KEY_FOLLOWS, key])` replaces `X-Api-Key`.
KEY_FOLLOWS = "api-key"


async def principal_of_scope(scope: Mapping[str, Any]) -> Principal:
    """Return the principal of a websocket's handshake: by session, by API key, or the local user.

    A socket outlives a logout, so `standing_of_scope` checks again later. The caller counts the
    socket with `runs.requests.limits.hold_connection`, and checks each message with
    `runs.identity.auth_file.permission.permit`.

    Raises:
        AuthenticationError: 401, the credentials are missing or invalid.
        HttpError: 403, a page of another site connects.
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
    """Checks whether an open websocket's principal is still valid."""
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
    """The subprotocol to accept.

    A browser closes a socket if none of its subprotocols is accepted.
    """
    offered = scope.get("subprotocols") or []
    return KEY_FOLLOWS if len(offered) == 2 and offered[0] == KEY_FOLLOWS else None


def cookies_in(header: str) -> dict[str, str]:
    """The cookies of a Cookie header; none if it is malformed."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
