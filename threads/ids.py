"""Identifiers that sort by the time of their creation."""

from __future__ import annotations

import uuid
from datetime import datetime

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562 §5.7); those of one process grow monotonically."""
    return uuid7()


def first_id(at: datetime) -> uuid.UUID:
    """The least id that can have been made at a time: what is older has a lesser one."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)
