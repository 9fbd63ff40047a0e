"""A real server for pages in a real browser: one for all of them, with a front end on another port, and a key for it."""

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
    #: Where `front.localhost` and other names of this machine have pages, of which the site allows the former's.
    port: int
    #: An API key of one of the site's users, who is not the local one.
    key: str


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, template: Template, cache: Path) -> Iterator[Pages]:
    """A site with a running server, which a script may kill if it starts another one."""
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
    # Its first characters alone are shown beside it.
    return max((word for word in made.output.split() if word.startswith("dfk_")), key=len)
