"""The chat and the run page of a host site in headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import test_pages as browser
from tests.clients.control import run_script
from tests.host.conftest import HOST
from tests.host.test_site import EMAIL, manage
from tests.processes.databases import Template
from tests.processes.harness import Site

pytestmark = pytest.mark.sqlite

PASSWORD = "a good password"


@pytest.fixture
def pages(tmp_path: Path, host_template: Template, cache: Path) -> Iterator[Site]:
    with host_template.copy(tmp_path) as database:
        site = Site(tmp_path, database, cache=cache, graphs={"echo": "tests.browser.graphs:echo"}, **HOST)
        try:
            # Unlike `serve` without WhiteNoise it serves static files.
            command = ("manage.py", "runserver", "{port}", "--noreload", "--insecure")
            site.start(*command, run_settings={"LOCAL_USER": False})
            manage(site, "createsuperuser", "--noinput", "--email", EMAIL, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
            yield site
        finally:
            site.close()


def test_pages_below_a_prefix(pages: Site) -> None:
    script = browser.HERE / "prefix.mjs"
    run_script(script, pages, timeout=200, CHROMIUM=browser.chromium(), EMAIL=EMAIL, PASSWORD=PASSWORD)
