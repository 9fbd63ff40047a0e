"""Real servers of the host site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.conftest import cache
from tests.processes.databases import Template
from tests.processes.harness import Site

__all__ = ["cache"]

HERE = Path(__file__).parent
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.host.settings"}
#: What makes a `Site` the host's.
HOST: dict[str, Any] = {"env": SETTINGS, "prefix": "/agents"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.server)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def host_template(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Template]:
    made = Template(tmp_path_factory.mktemp("host-template"), cache, **SETTINGS)
    yield made
    made.drop()


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, host_template: Template, cache: Path) -> Iterator[Site]:
    """A running server of the host, for tests that leave it running."""
    folder = tmp_path_factory.mktemp("host")
    with host_template.copy(folder) as database:
        made = Site(folder, database, cache=cache, **HOST)
        try:
            made.start(run_settings={"LOCAL_USER": False, "USER_THREADS": 40})
            yield made
        finally:
            made.close()
