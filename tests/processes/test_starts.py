"""Starts: beside another server, on a database that is not ready, and repeated ones."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from langgraph_sdk.errors import NotFoundError

from tests.processes.databases import ROOT, Database, Postgres, Sqlite, Template, environment
from tests.processes.harness import STEPS, Site, eventually, free_port, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import RawReader

SERVING_ONLY = ("manage.py", "serve", "--no-execute", "--port", "{port}")


def test_a_server_that_leaves_runs_to_others_creates_streams_and_cancels_them(site: Site) -> None:
    executing = site.start()
    serving = site.start(*SERVING_ONLY, port=free_port())
    run = site.create("steps", {"delay": 0.1}, process=serving)
    reader = RawReader(site, run)
    waiting = site.create("gated", process=serving)
    site.executing(waiting, "gate")
    began = time.monotonic()
    site.client(serving).runs.cancel(waiting["thread_id"], waiting["run_id"], wait=True)
    assert time.monotonic() - began < within(3)
    assert site.row(waiting)["status"] == "interrupted"
    assert site.finish(run)["status"] == "success"
    reader.join(20)
    assert reader.end == "ended"
    read_everything(site, run, reader.ids)
    assert len(site.client(serving).runs.join(run["thread_id"], run["run_id"])["log"]) == len(STEPS)
    executing.stop()
    run = site.create("steps", process=serving)
    assert site.row(run)["status"] == "pending"
    site.client(serving).runs.cancel(run["thread_id"], run["run_id"], action="rollback")
    with pytest.raises(NotFoundError):
        site.client(serving).runs.get(run["thread_id"], run["run_id"])
    assert serving.stop() == 0
    sound(site)


@pytest.mark.sqlite
def test_a_second_executing_server_on_one_sqlite_file_says_why_not(site: Site) -> None:
    first = site.start()
    run = site.create("gated")
    second = site.spawn(port=free_port())
    assert second.wait() == 3
    assert "Another process executes runs on this SQLite database" in second.output
    assert "--no-execute" in second.output
    assert "Traceback" not in second.output
    site.open_gate()
    assert site.finish(run)["status"] == "success"
    assert first.stop() == 0
    sound(site)


@pytest.mark.sqlite
def test_deleting_the_lock_lets_no_second_executing_server_in(site: Site) -> None:
    first = site.start()
    run = site.create("gated")
    site.executing(run, "gate")
    (site.folder / "db.sqlite3.lock").unlink()
    second = site.spawn(port=free_port())
    assert second.wait() == 3
    assert "db.sqlite3.lock was deleted" in second.output
    site.open_gate()
    row = site.finish(run)
    assert (row["status"], row["attempt"]) == ("success", 1)
    assert first.stop() == 0
    sound(site)


@pytest.mark.postgresql
def test_one_of_two_servers_takes_over_what_the_other_had_when_it_was_killed(site: Site) -> None:
    first = site.start()
    second = site.start(port=free_port())
    runs = [site.create("steps", {"delay": 0.3}, process=first, durability="sync") for _ in range(5)]
    site.executing(runs[-1], "s2")
    readers = [RawReader(site, run) for run in runs]
    first.kill()
    killed = time.time()
    for run, reader in zip(runs, readers, strict=True):
        row = site.finish(run)
        assert (row["status"], row["attempt"], row["lost_attempts"]) == ("success", 2, 1)
        assert site.attempts(run)[2] - killed < within(2.0)
        assert sum(site.executions(run).values()) <= len(STEPS) + 1
        reader.join(20)
        assert reader.end == "ended"
        read_everything(site, run, reader.ids)
    assert second.stop() == 0
    sound(site)


def test_a_database_that_is_not_migrated_is_refused(tmp_path: Path, cache: Path, template: Template) -> None:
    database: Database = Sqlite(tmp_path)
    with template.empty() as url:
        if url:
            database = Postgres(url)
        else:
            (tmp_path / "db.sqlite3").touch()
        site = Site(tmp_path, database, cache=cache)
        process = site.spawn()
        assert process.wait() == 1
        assert process.output.splitlines() == [
            "CommandError: The database is not migrated: run `python manage.py migrate` first."
        ]


def test_reconciling_beside_a_server_changes_nothing_of_what_it_executes(site: Site, cache: Path) -> None:
    site.start()
    run = site.create("gated")
    site.executing(run, "gate")
    before = site.row(run)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "manage.py", "reconcile_runs", "--json"],
            cwd=ROOT,
            env=environment(cache, DATA_DIR=str(site.folder), **site.database.settings),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert not report["requeued"]
        assert not report["failed"]
    assert site.row(run) == before
    site.open_gate()
    row = eventually(lambda: (found := site.row(run))["status"] == "success" and found)
    assert row["attempt"] == 1
    assert site.process.stop() == 0
    sound(site)
