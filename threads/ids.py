"""Identifiers that sort by the time of their creation."""

from __future__ import annotations

import uuid

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562 §5.7); those of one process grow monotonically."""
    return uuid7()
