"""What a test needs of the machine that it runs on."""

from __future__ import annotations

import os

import pytest


def require(missing: str | None) -> None:
    """Skip a test whose tools are not there; on CI nothing may be missing.

    Args:
        missing: What to say, or None if everything is there.
    """
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
