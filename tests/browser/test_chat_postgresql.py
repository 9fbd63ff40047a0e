"""The site's chat page on PostgreSQL: what kills, drains and replaced processes do to an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.conftest import Pages
from tests.browser.serving import GRAPHS
from tests.browser.test_chat import HERE
from tests.browser.test_pages import chromium
from tests.clients.control import Faults, run_script
from tests.processes.databases import Template
from tests.processes.harness import Process, Site
from tests.processes.proxy import Proxy

pytestmark = [pytest.mark.server, pytest.mark.postgresql, pytest.mark.timeout(300)]


def test_kills_and_drains(pages: Pages) -> None:
    run_script(
        HERE / "losses.mjs", pages.site, timeout=240, only="^after a (kill|drain)", CHROMIUM=chromium()
    )


class Balancer:
    """Two serving processes behind one port, and two that wait to replace them."""

    def __init__(self, processes: list[Process]) -> None:
        self.serving, self.waiting = processes[:2], processes[2:]
        self.proxy = Proxy(port(self.serving[0]))
        self.url = f"http://127.0.0.1:{self.proxy.port}"

    def turn(self) -> None:
        """Send new connections to the other process."""
        self.serving.reverse()
        self.proxy.target = port(self.serving[0])

    def roll(self) -> None:
        """Replace the process that gets no new connections; it drains and ends."""
        old = self.serving.pop()
        self.serving.append(self.waiting.pop(0))
        self.proxy.target = port(self.serving[0])
        assert old.stop() == 0, old.tail
        self.turn()

    @property
    def faults(self) -> Faults:
        return {"turn": self.turn, "roll": self.roll}


def port(process: Process) -> int:
    return int(process.url.rpartition(":")[2])


@contextmanager
def balanced(site: Site) -> Iterator[Balancer]:
    balancer = Balancer(site.several(4))
    with balancer.proxy:
        yield balancer


@pytest.fixture
def balancer(tmp_path: Path, template: Template, cache: Path) -> Iterator[tuple[Site, Balancer]]:
    with template.copy(tmp_path) as database:
        site = Site(tmp_path, database, cache=cache, graphs=GRAPHS)
        try:
            with balanced(site) as balancer:
                yield site, balancer
        finally:
            site.close()


def test_a_rolling_restart(balancer: tuple[Site, Balancer]) -> None:
    site, made = balancer
    run_script(
        HERE / "rolling.mjs",
        site,
        timeout=240,
        more=made.faults,
        SERVER_URL=made.url,
        CHROMIUM=chromium(),
    )
