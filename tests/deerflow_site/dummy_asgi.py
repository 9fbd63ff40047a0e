"""The dummy site for servers that import an application."""

from __future__ import annotations

from tests.deerflow_site import dummy

application = dummy.application()
