"""Identifiers that sort by creation time, and those of the site's users."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, TypeAlias

from django.contrib.auth import get_user_model
from django.db import connection
from uuid_utils.compat import uuid7

#: The primary key of a user: a number, a UUID or a text, as the site's user model has it.
UserId: TypeAlias = Any


def user_parameter(user_id: UserId) -> Any:
    """A user's id as the parameter of a statement."""
    return get_user_model()._meta.pk.get_db_prep_value(user_id, connection)


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562 §5.7), monotonic within a process."""
    return uuid7()


def first_id(at: datetime) -> uuid.UUID:
    """The smallest possible id of a time; everything older has a smaller one."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def made_at(value: uuid.UUID) -> datetime:
    """When an id was made, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
