"""A server with one database thread, on rows as large as they may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.conftest import cache, template  # noqa: F401 - fixtures
from tests.processes.databases import Template
from tests.processes.harness import Process, Site


@pytest.fixture
def process(tmp_path: Path, template: Template, cache: Path) -> Iterator[Process]:  # noqa: F811
    with template.copy(tmp_path) as database:
        site = Site(tmp_path, database, cache=cache, env={"DJANGO_SETTINGS_MODULE": "tests.worst.settings"})
        try:
            yield site.start()
        finally:
            site.close()
