"""A shared real server for pages in a browser, a front end on another port, and an API key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import OBEYING, cache, template
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
    folder, port = tmp_path_factory.mktemp("pages"), free_port()
    allowed = {"CORS_ORIGINS": f"http://front.localhost:{port}", "ALLOWED_HOSTS": "127.0.0.1"}
    with template.copy(folder) as database:
        site = Site(folder, database, cache=cache, graphs=OBEYING, env=allowed)
        try:
            key = make_key(site)
            site.start()
            yield Pages(site, port, key)
        finally:
            site.close()


def make_key(site: Site) -> str:
    user = site.spawn(
        "manage.py",
        "createsuperuser",
        "--noinput",
        "--username=ada",
        "--email=ada@example.com",
        DJANGO_SUPERUSER_PASSWORD="a good password",
    )
    assert user.wait() == 0, user.tail
    made = site.spawn("manage.py", "create_api_key", "ada", "--name=front end")
    assert made.wait() == 0, made.tail
    # The list shows only its first characters.
    return max((word for word in made.output.split() if word.startswith("dfk_")), key=len)
