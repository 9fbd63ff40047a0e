"""Principals: whoever asks, as one user of the site. Pure: no Django, no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runs.identity.auth_file.users import AuthUser

READ, WRITE = "read", "write"
#: What an API key may be allowed. Who has logged in may do everything.
SCOPES = frozenset({READ, WRITE})


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks: one user of the site."""

    user_id: int
    scopes: frozenset[str] = SCOPES
    #: What the site's Auth file said about the user; None when it was not asked. Not for logs: it may hold secrets.
    details: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    #: For a resource ("threads", "assistants", …), what its rows' metadata must be (`threads.filters`).
    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    @property
    def auth_user(self) -> AuthUser:
        """The user as Auth handlers and graphs see it."""
        return auth_user(self.user_id, self.details)

    def narrowed(self, resource: str, condition: Mapping[str, Any]) -> Principal:
        """The same principal, who sees only those rows of a resource that fulfil a condition too."""
        before = self.filters.get(resource)
        both = {"$and": [before, condition]} if before and before != condition else condition
        return replace(self, filters={**self.filters, resource: both})


def auth_user(user_id: int, details: Mapping[str, Any] | None) -> AuthUser:
    """A user as graphs see it; without an Auth file's word, the site's id is the identity."""
    return AuthUser(details if details is not None else {"identity": str(user_id)})


def known_scopes(names: Iterable[str]) -> frozenset[str]:
    """The scopes of these names. Raises ValueError for a name that is none, and for no name at all."""
    scopes = frozenset(names)
    if unknown := sorted(scopes - SCOPES):
        raise ValueError(f"{unknown[0]!r} is no scope; the scopes are {' and '.join(sorted(SCOPES))}.")
    if not scopes:
        raise ValueError("A key needs at least one scope.")
    return scopes
