"""Principals: the authenticated callers, each as one user of the site.

Pure: no Django, no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runs.identity.auth_file.users import AuthUser

READ, WRITE = "read", "write"
#: The scopes of API keys. A user who is logged in has all of them.
SCOPES = frozenset({READ, WRITE})


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: one user of the site."""

    user_id: int
    scopes: frozenset[str] = SCOPES
    #: The Auth file's details of the user; None if it was not asked. Not for logs: they may hold secrets.
    details: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    #: For a resource ("threads", "assistants", …), a condition on its rows' metadata (`threads.filters`).
    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    #: Headers of its request that the runs it creates get (`CONFIGURABLE_HEADERS`).
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def auth_user(self) -> AuthUser:
        """The user as Auth handlers and graphs see it."""
        return auth_user(self.user_id, self.details)

    def narrowed(self, resource: str, condition: Mapping[str, Any]) -> Principal:
        """The same principal with an additional condition on a resource's rows."""
        before = self.filters.get(resource)
        both = {"$and": [before, condition]} if before and before != condition else condition
        return replace(self, filters={**self.filters, resource: both})


def auth_user(user_id: int, details: Mapping[str, Any] | None) -> AuthUser:
    """A user as graphs see it. Without an Auth file, the identity is the site's user id."""
    return AuthUser(details if details is not None else {"identity": str(user_id)})


def known_scopes(names: Iterable[str]) -> frozenset[str]:
    """The scopes of these names. Raises ValueError for an unknown name, and for no name at all."""
    scopes = frozenset(names)
    if unknown := sorted(scopes - SCOPES):
        raise ValueError(f"{unknown[0]!r} is no scope; the scopes are {' and '.join(sorted(SCOPES))}.")
    if not scopes:
        raise ValueError("A key needs at least one scope.")
    return scopes
