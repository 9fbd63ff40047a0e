"""A real server with one graph that follows orders, for clients in ordinary use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.conftest import cache, template
from tests.processes.databases import Template
from tests.processes.harness import GRAPHS, Site

__all__ = ["cache", "template"]

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


def _site(folder: Path, template: Template, cache: Path) -> Iterator[Site]:
    with template.copy(folder) as database:
        made = Site(folder, database, cache=cache, graphs=OBEYING)
        try:
            made.start()
            yield made
        finally:
            made.close()
