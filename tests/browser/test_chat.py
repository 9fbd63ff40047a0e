"""The site's chat page in headless Chromium, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.test_pages import chromium
from tests.clients.conftest import OBEYING
from tests.clients.control import run_script
from tests.processes.databases import Template
from tests.processes.harness import Site

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
GRAPHS = {
    "agent": "deerflow_site.graphs.agent:graph",
    "obeying": OBEYING["obeying"],
    **{name: f"tests.browser.graphs:{name}" for name in ("echo", "asking", "configured", "titled")},
    **{name: f"tests.browser.agents:{name}" for name in ("deep", "supervised", "swarm")},
}


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory, template: Template, cache: Path) -> Iterator[Site]:
    """A site with a running server; a script that kills it must start another one."""
    folder = tmp_path_factory.mktemp("chat")
    with template.copy(folder) as database:
        site = Site(folder, database, cache=cache, graphs=GRAPHS)
        try:
            site.start()
            yield site
        finally:
            site.close()


@pytest.mark.parametrize(
    "script", ["thread", "losses", "closings", "questions", "versions", "threads", "markup", "access"]
)
def test_chat(script: str, chat: Site) -> None:
    run_script(HERE / f"{script}.mjs", chat, timeout=240, CHROMIUM=chromium())
