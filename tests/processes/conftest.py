"""Real servers: one for each test on its own database, and one shared by tests without faults."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.processes.databases import Template
from tests.processes.harness import Site
from tests.processes.invariants import sound

HERE = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the servers' logs with a failed test."""
    report = yield
    site = getattr(item, "funcargs", {}).get("site")
    if report.when == "call" and report.failed and site is not None:
        for number, process in enumerate(site.processes):
            report.sections.append((f"log of server {number}", process.tail))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.server)
            if item.get_closest_marker("timeout") is None:
                # Tests check their own time limits; processes start slowly on a busy machine.
                item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of server processes' compiled modules, shared by all workers of a session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "modules"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Template]:
    made = Template(tmp_path_factory.mktemp("template"), cache)
    yield made
    made.drop()


@pytest.fixture
def site(tmp_path: Path, template: Template, cache: Path) -> Iterator[Site]:
    """A site whose servers the test starts and stops."""
    with template.copy(tmp_path) as database:
        made = Site(tmp_path, database, cache=cache)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, template: Template, cache: Path) -> Iterator[Site]:
    """A site with a running server, for tests that leave it unchanged.

    Its invariants are checked at the end.
    """
    folder = tmp_path_factory.mktemp("shared")
    with template.copy(folder) as database:
        made = Site(folder, database, cache=cache)
        try:
            made.start()
            yield made
            assert made.process.stop() == 0
            sound(made)
        finally:
            made.close()
