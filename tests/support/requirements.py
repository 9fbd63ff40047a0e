"""A test's requirements of its machine."""

from __future__ import annotations

import os

import pytest


def require(missing: str | None) -> None:
    """Skip a test whose tools are missing; on CI nothing may be missing.

    Args:
        missing: The reason for the skip, or None if nothing is missing.
    """
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
