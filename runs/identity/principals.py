"""Principals: the authenticated callers, each as one user of the site.

Pure: no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runs.conf import settings
from runs.identity.auth_file.users import AuthUser
from threads.db.ids import UserId

READ, WRITE = "read", "write"
#: The values of `OWNERSHIP`: to whom rows belong.
USER, AUTH = "user", "auth"
#: Those that an Auth file's handlers are asked about.
RESOURCES = ("threads", "assistants", "crons", "store")
#: The scopes of API keys. A user who is logged in has all of them.
SCOPES = frozenset({READ, WRITE})


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: one user of the site."""

    user_id: UserId
    scopes: frozenset[str] = SCOPES
    #: The Auth file's details of the user; None if it was not asked. Not for logs: they may hold secrets.
    details: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    #: For a resource ("threads", "assistants", …), a condition on its rows' metadata (`threads.filters`).
    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    #: The resources whose rows, of any user, are the principal's if they fulfil these filters
    #: (`OWNERSHIP`). Those of which no handler was asked stay the user's own.
    shared: frozenset[str] = frozenset()

    #: Headers of its request that the runs it creates get (`CONFIGURABLE_HEADERS`).
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    #: What stands between the user and the request, for the record: `Run.asked_by`. Empty for the user in person.
    asked_by: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def auth_user(self) -> AuthUser:
        """The user as Auth handlers and graphs see it."""
        return auth_user(self.user_id, self.details)

    def narrowed(self, resource: str, condition: Mapping[str, Any]) -> Principal:
        """The same principal with an additional condition on a resource's rows."""
        before = self.filters.get(resource)
        both = {"$and": [before, condition]} if before and before != condition else condition
        return replace(self, filters={**self.filters, resource: both})

    def sharing(self, *resources: str) -> Principal:
        """The same principal, for whom the filters alone decide about these resources, if the site says so."""
        if settings.OWNERSHIP != AUTH or self.shared.issuperset(resources):
            return self
        return replace(self, shared=self.shared | set(resources))

    @classmethod
    def permitted_before(cls, user_id: UserId, details: Mapping[str, Any] | None = None) -> Principal:
        """A user for whom something is done that was permitted when it was asked for, such as a cron's run."""
        return cls(user_id, details=details).sharing(*RESOURCES)


def auth_user(user_id: UserId, details: Mapping[str, Any] | None) -> AuthUser:
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
