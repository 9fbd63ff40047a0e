"""`useStream` of the stock packages, on pages in headless Chromium, against a real server.

Each script drives all hooks in parallel tabs: the legacy one, and that of the agent streaming
protocol over HTTP and over a websocket.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.browser.conftest import Pages
from tests.clients.control import run_script
from tests.support.requirements import require

# Each starts a browser, and one of them two servers.
pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """The path of the browser; `CHROMIUM` overrides it."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    require(None if found else "Chromium is not installed")
    assert found
    return found


@pytest.mark.parametrize("script", ["chat", "origins", "faults"])
def test_pages(script: str, pages: Pages) -> None:
    environment = {"CHROMIUM": chromium(), "PAGES_PORT": str(pages.port), "KEY": pages.key}
    run_script(HERE / f"{script}.mjs", pages.site, timeout=240, **environment)
