"""Identifiers that sort by the time of their creation."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562 §5.7); those of one process grow monotonically."""
    return uuid7()


def first_id(at: datetime) -> uuid.UUID:
    """The least id that can have been made at a time: what is older has a lesser one."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def made_at(value: uuid.UUID) -> datetime:
    """When an id was made, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
