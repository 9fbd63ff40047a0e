"""The dummy site for servers that import an application."""

from __future__ import annotations

from tests.runs.server import dummy

application = dummy.application()
