"""The site's chat page in headless Chromium, against a real server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.browser.conftest import Pages
from tests.browser.test_pages import chromium
from tests.clients.control import Faults, run_script
from tests.processes.proxy import Proxy

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
SCRIPTS = (
    "thread", "losses", "closings", "questions", "decisions", "versions", "threads", "files", "agents", "markup", "access",
    "sending", "drafts", "accounts",
)  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_chat(script: str, pages: Pages) -> None:
    site = pages.site
    with Proxy(site.port) as line:
        run_script(
            HERE / f"{script}.mjs",
            site,
            timeout=240,
            more={**faults_of(line), "forget": partial(site.database.execute, "DELETE FROM django_session")},
            CHROMIUM=chromium(),
            LINE_URL=f"http://127.0.0.1:{line.port}",
        )


def faults_of(line: Proxy) -> Faults:
    """What a script may do to the line between a page and the server: nothing passes; it breaks; it is as before."""

    def cut() -> None:
        line.refuse()
        line.cut()

    return {"silence": line.silence, "cut": cut, "heal": partial(line.heal, reset=True)}
