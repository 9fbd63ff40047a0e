"""From a client's credentials to a principal, for HTTP and websockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from ninja.errors import AuthenticationError

from runs.identity import keys, local
from runs.identity.header_patterns import configurable_headers
from runs.identity.principals import Principal
from runs.identity.sessions import logged_in_user_id

UNKNOWN = "Authentication is required: log in to this site, or send an API key of it as X-Api-Key."
FOREIGN = "The API key is not one of this site's."


class Proof(Enum):
    """How a client was authenticated.

    Credentials that a browser adds say nothing about the requesting page.
    """

    KEY = auto()
    SESSION = auto()
    LOCAL = auto()
    AUTH_FILE = auto()


@dataclass(frozen=True, slots=True)
class Credentials:
    #: Names are in lower case.
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    #: The address of the peer, if it has one.
    peer: str | None


async def identified(
    credentials: Credentials, ask_auth_file: Callable[[], Awaitable[Principal]] | None = None
) -> tuple[Principal, Proof]:
    """Return the principal of credentials (see `_identified`), with the headers that its runs get."""
    principal, proof = await _identified(credentials, ask_auth_file)
    if offered := configurable_headers(credentials.headers):
        principal = replace(principal, headers=offered)
    return principal, proof


async def _identified(
    credentials: Credentials, ask_auth_file: Callable[[], Awaitable[Principal]] | None
) -> tuple[Principal, Proof]:
    """Return the principal of credentials. A key takes precedence over a browser's session.

    Args:
        ask_auth_file: Authenticates by the site's Auth file, if it has one; this disables the local
            user.

    Raises:
        AuthenticationError: 401, the credentials are missing or invalid.
        HttpError: The Auth file's refusal.
    """
    key = keys.key_in(credentials.headers)
    if key is not None and keys.is_ours(key):
        # An invalid key is refused; the request does not fall back to another identity.
        try:
            return await keys.principal_of_key(key), Proof.KEY
        except keys.BadKey as error:
            raise AuthenticationError(message=str(error)) from None
    if ask_auth_file and (key is not None or "authorization" in credentials.headers):
        return await ask_auth_file(), Proof.AUTH_FILE
    user_id = await logged_in_user_id(credentials.cookies)
    if user_id is not None:
        return Principal(user_id), Proof.SESSION
    if ask_auth_file:
        return await ask_auth_file(), Proof.AUTH_FILE
    # Keys of other services are ignored: clients send them whenever their environment has one.
    if local.may_be_local(credentials.peer, credentials.headers):
        return await local.local_principal(), Proof.LOCAL
    raise AuthenticationError(message=UNKNOWN if key is None else FOREIGN)
