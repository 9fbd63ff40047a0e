"""A real server with one graph that follows orders, for clients in ordinary use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.conftest import HOST, host_template
from tests.processes.conftest import cache, template
from tests.processes.databases import Template
from tests.processes.harness import GRAPHS, Site

__all__ = ["cache", "host_template", "template"]

HERE = Path(__file__).parent
OBEYING = {**GRAPHS, "obeying": "tests.clients.graphs:obeying"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def obeying(tmp_path_factory: pytest.TempPathFactory, template: Template, cache: Path) -> Iterator[Site]:
    """A site with a running server, for scripts that leave it running."""
    yield from _site(tmp_path_factory.mktemp("obeying"), template, cache)


@pytest.fixture
def own(tmp_path: Path, template: Template, cache: Path) -> Iterator[Site]:
    """A site with a running server for one test, which may kill it."""
    yield from _site(tmp_path, template, cache)


@pytest.fixture(scope="session")
def below_prefix(
    tmp_path_factory: pytest.TempPathFactory, host_template: Template, cache: Path
) -> Iterator[Site]:
    """The same server inside of another site (`tests.host`), below a prefix."""
    yield from _site(tmp_path_factory.mktemp("host"), host_template, cache, **HOST)


@pytest.fixture(params=["obeying", "below_prefix"])
def either(request: pytest.FixtureRequest) -> Site:
    """This project's example site, and another one that includes it."""
    found: Site = request.getfixturevalue(request.param)
    return found


def _site(folder: Path, template: Template, cache: Path, **options: Any) -> Iterator[Site]:
    with template.copy(folder) as database:
        made = Site(folder, database, cache=cache, graphs=OBEYING, **options)
        try:
            made.start()
            yield made
        finally:
            made.close()
