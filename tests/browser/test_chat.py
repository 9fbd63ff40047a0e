"""The site's chat page in headless Chromium, against a real server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.browser.conftest import Pages
from tests.browser.test_pages import chromium
from tests.clients.control import run_script

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
SCRIPTS = (
    "thread", "losses", "closings", "questions", "decisions", "versions", "threads", "files", "agents", "markup", "access",
    "sending", "drafts", "accounts",
)  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_chat(script: str, pages: Pages) -> None:
    forget = partial(pages.site.database.execute, "DELETE FROM django_session")
    run_script(
        HERE / f"{script}.mjs", pages.site, timeout=240, more={"forget": forget}, CHROMIUM=chromium()
    )
