"""Identifiers that sort by creation time."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562 §5.7), monotonic within a process."""
    return uuid7()


def first_id(at: datetime) -> uuid.UUID:
    """The smallest possible id of a time; everything older has a smaller one."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def made_at(value: uuid.UUID) -> datetime:
    """When an id was made, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
