"""The authentication of websockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from ninja.errors import AuthenticationError, HttpError

from runs.conf import settings
from runs.identity import tickets
from runs.identity.auth_file import configured
from runs.identity.authentication import authenticated
from runs.identity.credentials import Credentials, Proof, identified
from runs.identity.origins import may_borrow, scheme_of
from runs.identity.principals import Principal
from runs.identity.standing import Standing
from threads.db.database import in_database

#: Headers that only the page itself can add.
SHOWN = frozenset({"authorization", "x-api-key"})
#: Pages cannot send headers with a websocket. `new WebSocket(url, [KEY_FOLLOWS, key])` replaces `X-Api-Key`.
KEY_FOLLOWS = "api-key"
#: The beginning of a ticket in a query string, and where a scope has the id of a redeemed ticket's user.
TICKET, OWNER = b"ticket=", "ticket_owner"


async def principal_of_scope(scope: Mapping[str, Any]) -> Principal:
    """Return the principal of a websocket's handshake: by session, by API key, or the local user.

    `with_ticket` comes first, for a handshake with a ticket. A socket outlives a logout, so `standing_of_scope` checks again later. The caller counts the
    socket with `runs.requests.limits.hold_connection`, and checks each message with
    `runs.identity.auth_file.permission.permit`.

    Raises:
        AuthenticationError: 401, the credentials are missing or invalid, or not those of the ticket's user.
        HttpError: 403, a page of another site connects.
    """
    credentials = credentials_of_scope(scope)
    principal, proof = await identified(credentials, _authenticator(credentials, scope))
    owner = scope.get(OWNER)
    if owner not in (None, principal.user_id):
        raise AuthenticationError(message="The ticket's credentials belong to another user now.")
    # Only a page that has made a ticket, or was given it, can name it.
    shown = owner is not None or proof is Proof.KEY
    shown = shown or (proof is Proof.AUTH_FILE and bool(SHOWN & credentials.headers.keys()))
    origin = credentials.headers.get("origin")
    host, local = credentials.headers.get("host"), proof is Proof.LOCAL
    if not shown and not may_borrow(
        origin, settings.CORS_ORIGINS, host=host, scheme=scheme_of(scope), local=local
    ):
        raise HttpError(403, "Another site's pages cannot connect with what the browser adds.")
    return principal


def take_ticket(scope: MutableMapping[str, Any]) -> None:
    """Move a handshake's ticket out of the query string, which servers write to their logs."""
    parts = scope.get("query_string", b"").split(b"&")
    given = [part for part in parts if part.startswith(TICKET)]
    if given:
        scope["query_string"] = b"&".join(part for part in parts if part not in given)
        scope["ticket"] = given[-1].removeprefix(TICKET).decode("latin-1")


async def with_ticket(scope: Mapping[str, Any], thread_id: UUID) -> Mapping[str, Any]:
    """The scope of a handshake with the credentials that its ticket stands for; unchanged without a ticket.

    A ticket takes precedence over all other credentials. It is used up, also if they are refused later.

    Raises:
        AuthenticationError: 401, the ticket is unknown or has expired.
        HttpError: 403, it is for another thread; 409, it was used before.
    """
    ticket = scope.get("ticket")
    if ticket is None:
        return scope
    owner, headers = await in_database(tickets.redeem, ticket, thread_id)
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {**scope, "headers": encoded, "subprotocols": [], OWNER: owner}


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
