"""API keys: made, found, noted as used, revoked."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from runs.identity.principals import Principal
from runs.models import ApiKey
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import UserId
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

#: The prefix of every key. People and secret scanners recognise it, and it distinguishes the keys of other
#: services that clients send.
MARK = "dfk_"
SHOWN = len(MARK) + 6
#: The precision of a key's last use: a write for each request would cost more than the request.
TOUCH = timedelta(minutes=10)

_touching: set[asyncio.Task[None]] = set()


class BadKey(Exception):
    """The key cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Found:
    key_id: UUID
    principal: Principal
    stale: bool


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key of a request, preferably one of this site. Header names are in lower case."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = (headers.get("x-api-key", ""), token if scheme.lower() == "bearer" else "")
    found = [key.strip() for key in given if key.strip()]
    return next(filter(is_ours, found), found[0] if found else None)


def is_ours(key: str | None) -> bool:
    return key is not None and key.startswith(MARK)


async def principal_of_key(key: str) -> Principal:
    """The principal of one of this site's keys; one query. Raises BadKey."""
    found = await in_database(find, key)
    if found.stale:
        # In the background, so that the request does not wait for a write.
        task = spawn(_touch(found.key_id))
        _touching.add(task)
        task.add_done_callback(_touching.discard)
    return found.principal


def find(key: str) -> Found:
    """Find a valid key by its digest. The duration reveals nothing about any key."""
    now = clock.now()
    row = ApiKey.objects.filter(digest=digest(key)).select_related("user").first()
    if row is None:
        raise BadKey("The API key is not known.")
    if row.revoked_at is not None:
        raise BadKey("The API key was revoked.")
    if row.expires_at is not None and row.expires_at <= now:
        raise BadKey("The API key has expired.")
    owner: Any = row.user
    if not owner.is_active:
        raise BadKey("The API key belongs to a user who is not active.")
    stale = row.last_used_at is None or now - row.last_used_at >= TOUCH
    return Found(
        row.id,
        Principal(owner.pk, scopes=frozenset(row.scopes), asked_by={"by": "key", "name": str(row)}),
        stale,
    )


async def _touch(key_id: UUID) -> None:
    try:
        await in_database(touch, key_id)
    except DatabaseError as error:
        logger.warning("The last use of an API key could not be recorded: %s", error)


def touch(key_id: UUID) -> None:
    ApiKey.objects.filter(id=key_id).update(last_used_at=clock.now())


def create(
    user_id: UserId, *, scopes: frozenset[str], name: str = "", expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Create a key; return its row and the key itself, which cannot be shown again."""
    key = MARK + secrets.token_urlsafe(32)
    row = ApiKey.objects.create(
        user_id=user_id,
        name=name,
        prefix=key[:SHOWN],
        digest=digest(key),
        scopes=sorted(scopes),
        created_at=clock.now(),
        expires_at=expires_at,
    )
    return row, key


def revoke(key_id: UUID) -> bool:
    """Revoke a key; return whether it was valid until now."""
    return ApiKey.objects.filter(id=key_id, revoked_at__isnull=True).update(revoked_at=clock.now()) == 1
