"""Bulk actions of the admin in headless Chromium, against a real server with many runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.test_pages import chromium
from tests.browser.test_run_page import admin
from tests.clients.control import run_script
from tests.processes.harness import Site

__all__ = ["admin"]

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

SEED = "from tests.support.many_runs import seed; seed(1500)"


def test_bulk_actions(admin: Site) -> None:
    made = admin.spawn("manage.py", "shell", "-c", SEED)
    assert made.wait() == 0, made.tail
    script = Path(__file__).with_name("bulk.mjs")
    run_script(script, admin, timeout=120, CHROMIUM=chromium())
