"""`useStream` of the stock packages, on a page in headless Chromium, against a real server."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.clients.control import run_script
from tests.requirements import require
from tests.server.harness import Site

# Each starts a browser, and three servers one after the other.
pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(480)]

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """Where the browser is; `CHROMIUM` may say so."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    require(None if found else "Chromium is not installed")
    assert found
    return found


def talk(site: Site, **environment: str) -> None:
    """Play the whole conversation on a page."""
    run_script(HERE / "chat.mjs", site, timeout=200, CHROMIUM=chromium(), **environment)


def test_the_legacy_hook(own: Site) -> None:
    talk(own, HOOK="legacy")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_hook_of_the_agent_streaming_protocol(transport: str, own: Site) -> None:
    talk(own, HOOK="v2", TRANSPORT=transport)
