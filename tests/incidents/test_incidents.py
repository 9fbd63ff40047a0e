"""Two of the incidents, and the page about all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients.conftest import cache, template
from tests.incidents.playing import MOST_CLICKS, PAGE, play
from tests.incidents.stage import staged
from tests.incidents.stories import STORIES
from tests.processes.databases import Template

__all__ = ["cache", "template"]

#: The largest picture of the page, in bytes.
PICTURE = 80_000


@pytest.mark.server
@pytest.mark.sqlite
@pytest.mark.timeout(300)
def test_incidents_are_found_and_mended(tmp_path: Path, template: Template, cache: Path) -> None:
    with staged(tmp_path, template, cache) as stage:
        for name in ("lost-webhook", "wrong-answer"):
            assert 0 < play(name, stage) <= MOST_CLICKS


def test_the_page_tells_each_incident_and_shows_it() -> None:
    text = PAGE.read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    told = {each.splitlines()[0].lower().replace(" ", "-"): each for each in sections}
    assert sorted(told) == sorted(STORIES)
    for name, section in told.items():
        for part in ("**Seen first**", "**Clicks**", "**Mended**", "**Prevented**"):
            assert part in section, f"{name} has no {part}."
        assert f"(../pictures/incident-{name}.jpg)" in section
        rows = re.findall(rf"\(#{name}\) \| (\d)", text)
        assert [0 < int(clicks) <= MOST_CLICKS for clicks in rows] == [True], name


def test_the_pictures_are_small() -> None:
    pictures = [(PAGE.parent / path).resolve() for path in re.findall(r"\]\((\S+\.jpg)\)", PAGE.read_text())]
    assert len(pictures) == len(STORIES) + 1
    assert [path.name for path in pictures if path.stat().st_size > PICTURE] == []
