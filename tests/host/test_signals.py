"""Signals of runs in the host's own code: after the commit, at least once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.conftest import HOST
from tests.processes.databases import Template
from tests.processes.harness import Site, eventually


@pytest.fixture
def site(tmp_path: Path, host_template: Template, cache: Path) -> Iterator[Site]:
    with host_template.copy(tmp_path) as database:
        made = Site(tmp_path, database, cache=cache, **HOST)
        try:
            made.start()
            yield made
        finally:
            made.close()


def heard(site: Site, run: dict[str, Any]) -> list[dict[str, Any]]:
    file = site.folder / "signals"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if line["run_id"] == run["run_id"]]


def names(site: Site, run: dict[str, Any]) -> set[str]:
    return {line["signal"] for line in heard(site, run)}


def test_each_run_has_its_signals(site: Site) -> None:
    run = site.create("steps", metadata={"order": 7})
    eventually(lambda: names(site, run) == {"run_started", "run_finished"}, what="the signals are sent")
    finished = next(line for line in heard(site, run) if line["signal"] == "run_finished")
    assert {"status": "success", "error": None, "sender": "Run"}.items() <= finished.items()
    assert finished["metadata"]["order"] == 7
    assert finished["thread_id"] == run["thread_id"]
    failed = site.create("failing")
    eventually(lambda: "run_finished" in names(site, failed))
    [line] = [line for line in heard(site, failed) if line["signal"] == "run_finished"]
    assert (line["status"], line["error"]["error"]) == ("error", "ValueError")
    asking = site.create("questions")
    eventually(lambda: names(site, asking) == {"run_started", "run_interrupted"})
    answer = site.create("questions", thread=asking["thread_id"], command={"resume": "yes"})
    eventually(lambda: len(names(site, answer)) == 2)


def test_a_receiver_that_raises_is_called_again(site: Site) -> None:
    run = site.create("gated")
    eventually(lambda: names(site, run) == {"run_started"})
    (site.folder / "raise").touch()
    site.open_gate()
    eventually(lambda: "run_finished" in names(site, run), timeout=40, what="the signal is sent again")
    assert not (site.folder / "raise").exists()


def test_a_kill_within_a_receiver_loses_no_signal(site: Site) -> None:
    run = site.create("gated")
    eventually(lambda: names(site, run) == {"run_started"})
    (site.folder / "kill").touch()
    site.open_gate()
    eventually(lambda: not site.process.alive, what="the receiver kills its process")
    assert site.row(run)["status"] == "success"
    assert names(site, run) == {"run_started"}
    # The reservation of the dead sender ends.
    site.database.execute("UPDATE runs_webhookdelivery SET due_at = created_at WHERE state = 'pending'")
    site.start()
    eventually(lambda: names(site, run) == {"run_started", "run_finished"}, timeout=40)
    ids = [line["notice_id"] for line in heard(site, run)]
    assert len(set(ids)) == len(ids) == 2
