"""Plays an incident on a stage, with a browser that walks the clicks (`tests/browser/incidents.mjs`)."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.serving import ADA
from tests.browser.test_pages import chromium
from tests.clients.control import run_script
from tests.incidents.stage import Stage
from tests.incidents.stories import STORIES, Story

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "browser" / "incidents.mjs"
PAGE = ROOT / "docs" / "topics" / "incidents.md"
PICTURES = ROOT / "docs" / "pictures"
#: The most clicks from the admin's front page to the cause and its repair.
MOST_CLICKS = 4
#: How the script tells the clicks of an incident.
CLICKS = re.compile(r"^clicks: (\S+) (\d+)$", re.MULTILINE)


def play(name: str, stage: Stage, *, pictures: str = "") -> int:
    """Play an incident; return its number of clicks.

    Args:
        pictures: The folder in which the browser leaves its pictures; "" for none.
    """
    story: Story = STORIES[name](stage)
    story.happen()
    printed = run_script(
        SCRIPT,
        stage.site,
        timeout=150,
        more={"repair": story.repair, "command": story.run_command, "mended": story.mended},
        CHROMIUM=chromium(),
        SERVER_URL=stage.web.url,
        RUN=story.run["run_id"],
        PASSWORD=ADA["password"],
        INCIDENT=name,
        PICTURES=pictures,
    )
    [(told, clicks)] = CLICKS.findall(printed)
    assert told == name
    assert int(clicks) <= MOST_CLICKS, printed
    return int(clicks)
