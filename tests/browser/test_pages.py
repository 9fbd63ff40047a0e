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
    """Play the whole conversation on a page; once more if it failed.

    A hook reads its content and its ends on streams of their own, over HTTP, and stops reading the former when it learns of
    an end: on a busy machine it may do so before it has the last words (docs/compatibility.md). Two times in a row is ours.
    """
    chrome = chromium()
    for attempt in (1, 2):
        try:
            run_script(HERE / "chat.mjs", site, timeout=200, CHROMIUM=chrome, **environment)
            return
        except AssertionError as failure:
            if attempt == 2:
                raise
            print(failure)
            site.process.kill()
            site.start()


def test_the_legacy_hook(own: Site) -> None:
    talk(own, HOOK="legacy")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_hook_of_the_agent_streaming_protocol(transport: str, own: Site) -> None:
    talk(own, HOOK="v2", TRANSPORT=transport)
