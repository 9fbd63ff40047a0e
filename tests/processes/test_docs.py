"""The sessions in README.md and docs/quickstart.md, executed as by a reader."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.databases import ROOT, Row, Template
from tests.processes.harness import Site

SHOWN = "http://127.0.0.1:8000"


@pytest.fixture
def site(tmp_path: Path, template: Template, cache: Path) -> Iterator[Site]:
    """A site with the demo agent, as `make run` starts it."""
    with template.copy(tmp_path) as database:
        made = Site(tmp_path, database, cache=cache, graphs={"agent": "deerflow_site.graphs.agent:graph"})
        try:
            made.start()
            yield made
        finally:
            made.close()


def script(page: str, number: int = 0) -> str:
    """A Python script of a page; the first one by default."""
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)[number]
    assert SHOWN in found
    return str(found)


def played(site: Site, script: str, *arguments: str) -> str:
    """What a script prints, for a site at another port."""
    command = [sys.executable, "-c", script.replace(SHOWN, site.process.url), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rejoined(site: Site, run: Row, last_event_id: str) -> list[str]:
    """The ids of the events that the quickstart's script shows after an id."""
    shown = played(site, script("docs/quickstart.md", 1), run["thread_id"], run["run_id"], last_event_id)
    return [line.split()[0] for line in shown.splitlines()]


def test_the_first_session_of_the_readme_and_the_quickstart(site: Site) -> None:
    assert script("README.md") == script("docs/quickstart.md")
    shown = played(site, script("README.md"))
    assert re.match(r"1-1 metadata \{'run_id'", shown)
    assert "The agent asks: " in shown
    assert "fencing" in shown.split("The agent asks: ")[1]


def test_rejoining_after_a_kill_as_the_quickstart_shows_it(site: Site) -> None:
    messages = {"messages": [{"role": "user", "content": "How does a lease end?"}]}
    run = site.create("agent", messages, stream_mode=["updates", "custom"])
    site.process.kill()
    site.start()
    ids = rejoined(site, run, "0")
    half = len(ids) // 2
    assert rejoined(site, run, ids[half]) == ids[half + 1 :]
    assert site.client().runs.get(run["thread_id"], run["run_id"])["status"] == "success"
