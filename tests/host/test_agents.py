"""Runs that the host's own code starts in processes of its own, which execute nothing."""

from __future__ import annotations

import pytest

from tests.host.test_site import manage
from tests.processes.harness import STEPS, Site

HEAD = """
import os, signal
from django.contrib.auth import get_user_model
from django.db import transaction
from runs import agents
from tests.host.shop.models import Item
user, _ = get_user_model().objects.get_or_create(email="ada@example.com")
LOG = {"log": []}
"""


def shell(site: Site, code: str, *, check: bool = True) -> str:
    return manage(site, "shell", "-v", "0", "-c", HEAD + code, check=check)


def test_a_command_starts_a_run_and_reads_its_result(host: Site) -> None:
    said = shell(
        host,
        """
run = agents.start("steps", LOG, user=user, stream_mode="updates")
print([part.event for part in agents.stream(run.id, user=user)][0])
print(agents.wait(run.id, user=user, timeout=60).values["log"])
print(agents.state(run.thread_id, user=user).status)
""",
    )
    assert said.splitlines() == ["metadata", str(STEPS), "idle"]


@pytest.mark.parametrize("committed", [True, False])
def test_a_crash_around_the_commit(host: Site, committed: bool) -> None:
    """The process dies right after the commit, before anybody was told, or right before it."""
    before = len(host.database.rows("SELECT id FROM runs_run"))
    die = "os.kill(os.getpid(), signal.SIGKILL)"
    last = "transaction.on_commit(lambda: " + die + ")" if committed else die
    shell(
        host,
        f"""
with transaction.atomic():
    {"" if not committed else last}
    agents.start("steps", LOG, user=user, metadata={{"crashed": {committed}}})
    {"" if committed else last}
""",
        check=False,
    )
    rows = host.database.rows("SELECT id FROM runs_run ORDER BY created_at")
    assert len(rows) == before + int(committed)
    if committed:
        assert host.finish({"run_id": rows[-1]["id"]})["status"] == "success"
