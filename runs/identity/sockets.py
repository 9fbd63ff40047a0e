"""A websocket's principal."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from ninja.errors import HttpError

from runs.identity.credentials import Credentials, Proof, identified
from runs.identity.origins import from_elsewhere
from runs.identity.principals import Principal


async def principal_of_scope(scope: Mapping[str, Any]) -> Principal:
    """Return the principal of a websocket, from the scope of its handshake: session, API key, or the local user.

    A socket outlives a logout: ask again from time to time. What the principal may do is asked of each message, with
    `requests.require_scope` and `authorization.authorize`.

    Raises:
        AuthenticationError: 401, nobody has shown who they are.
        HttpError: 403, the page that connects is another site's.
    """
    credentials = credentials_of_scope(scope)
    principal, proof = await identified(credentials)
    if proof in (Proof.SESSION, Proof.LOCAL) and from_elsewhere(credentials.headers.get("origin")):
        raise HttpError(403, "Another site's pages cannot connect with what the browser adds.")
    return principal


def credentials_of_scope(scope: Mapping[str, Any]) -> Credentials:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    return Credentials(headers, cookies_in(headers.get("cookie", "")), client[0] if client else None)


def cookies_in(header: str) -> dict[str, str]:
    """The cookies of a Cookie header; none if it is malformed."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
