"""A real server for pages in a real browser."""

from __future__ import annotations

from tests.clients.conftest import cache, own, template

__all__ = ["cache", "own", "template"]
