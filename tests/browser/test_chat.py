"""The site's chat page in headless Chromium, against a real server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.browser.conftest import Pages
from tests.browser.test_pages import chromium
from tests.clients.control import Faults, run_script
from tests.processes.databases import Database
from tests.processes.proxy import Proxy

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
SCRIPTS = (
    "thread", "losses", "closings", "questions", "decisions", "versions", "threads", "files", "agents", "markup", "access",
    "sending", "drafts", "accounts",
)  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_chat(script: str, pages: Pages) -> None:
    site = pages.site
    with Proxy(site.port) as line:
        run_script(
            HERE / f"{script}.mjs",
            site,
            timeout=240,
            more={**faults_of(line), **faults_of_database(site.database)},
            CHROMIUM=chromium(),
            LINE_URL=f"http://127.0.0.1:{line.port}",
        )


#: Columns of a copied run that differ, for each `n` from 1 to 250; it was never executed.
FILLER = {
    "id": "lower(hex(randomblob(16)))",
    "metadata": "json_object('message_id', 'other ' || n)",
    "epoch": "0",
    "created_at": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
}


def faults_of_database(database: Database) -> Faults:
    """All sessions end; a thread gets 250 more runs, newer than its others."""

    def fill(thread: str) -> None:
        names = [row["name"] for row in database.rows("PRAGMA table_info(runs_run)")]
        copied = ", ".join(FILLER.get(name, name) for name in names)
        last = f"SELECT * FROM runs_run WHERE thread_id = '{database.key(thread)}' ORDER BY created_at DESC LIMIT 1"
        database.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 250) "
            f"INSERT INTO runs_run ({', '.join(names)}) SELECT {copied} FROM numbers, ({last})"
        )

    return {"forget": partial(database.execute, "DELETE FROM django_session"), "fill": fill}


def faults_of(line: Proxy) -> Faults:
    """What a script may do to the line between a page and the server: nothing passes; it breaks; it is as before."""

    def cut() -> None:
        line.refuse()
        line.cut()

    return {"silence": line.silence, "cut": cut, "heal": partial(line.heal, reset=True)}
