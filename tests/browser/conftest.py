"""A shared real server for pages in a browser, a front end on another port, and an API key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.serving import ADA, command, serving
from tests.clients.conftest import cache, template
from tests.processes.databases import Template
from tests.processes.harness import Site, free_port

__all__ = ["cache", "template"]


@dataclass(frozen=True)
class Pages:
    site: Site
    #: The port of pages at `front.localhost` and other local names; the site allows only `front.localhost`.
    port: int
    #: An API key of a user of the site other than the local one.
    key: str


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, template: Template, cache: Path) -> Iterator[Pages]:
    """A site with a running server; a script that kills it must start another one."""
    port = free_port()
    allowed = {"CORS_ORIGINS": f"http://front.localhost:{port}", "ALLOWED_HOSTS": "127.0.0.1"}
    with serving(tmp_path_factory.mktemp("pages"), template, cache, **allowed) as site:
        yield Pages(site, port, make_key(site))


def make_key(site: Site) -> str:
    made = command(site, "create_api_key", ADA["username"], "--name=front end")
    # The list shows only its first characters.
    return max((word for word in made.split() if word.startswith("dfk_")), key=len)
