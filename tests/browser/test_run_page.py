"""The admin's page of a run in headless Chromium, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.test_pages import chromium
from tests.clients.control import run_script
from tests.processes.databases import Template
from tests.processes.harness import Site

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(400)]

HERE = Path(__file__).parent
GRAPHS = {
    "failing": "tests.support.graphs:failing",
    "steps": "tests.support.graphs:steps",
    "ask": "tests.browser.graphs:asking",
    "talk": "tests.support.graphs:talking",
}

#: Of the model of `talk`.
PRICES = "Talker=50000/50000"


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory, template: Template, cache: Path) -> Iterator[Site]:
    """A site with a running server, and an operator."""
    folder = tmp_path_factory.mktemp("run-page")
    with template.copy(folder) as database:
        site = Site(folder, database, cache=cache, graphs=GRAPHS, env={"MODEL_PRICES": PRICES})
        try:
            made = site.spawn(
                "manage.py",
                "createsuperuser",
                "--noinput",
                "--username=ops",
                "--email=ops@example.com",
                DJANGO_SUPERUSER_PASSWORD="a good password",
            )
            assert made.wait() == 0, made.tail
            site.start()
            yield site
        finally:
            site.close()


def test_run_page(admin: Site) -> None:
    run_script(HERE / "run.mjs", admin, timeout=360, CHROMIUM=chromium())


def test_inbox(admin: Site) -> None:
    run_script(HERE / "inbox.mjs", admin, timeout=120, CHROMIUM=chromium())


def test_run_list(admin: Site) -> None:
    run_script(HERE / "list.mjs", admin, timeout=120, CHROMIUM=chromium())
