"""Starts on a large database, concurrent starts on an empty one, and a start on an older copy."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes.databases import ROOT, Postgres, Row, Template, environment
from tests.processes.faults import SERVE, SERVE_ONLY, postgres, stop
from tests.processes.harness import Site, eventually, free_port, within
from tests.processes.invariants import sound
from tests.processes.readers import Reader

# Large databases


def seed(site: Site, *, count: int, status: str, threads: int) -> None:
    """Insert old runs of another run's graph, on several threads, oldest first."""
    [model] = site.database.rows("SELECT * FROM runs_run")
    [thread] = site.database.rows("SELECT * FROM threads_thread")
    orphan = status == "running"
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    if isinstance(site.database, Postgres):
        identity = "('00000000-0000-7000-{}-' || lpad(to_hex(i), 12, '0'))::uuid"
        past = "now() - interval '1 hour' + i * interval '1 millisecond'"
        model_id, worker = f"'{model['id']}'", "'00000000-0000-7000-8000-0000000000ff'"
    else:
        identity = "'0000000000007000{}' || printf('%012x', i)"
        past = "strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour', '+' || (i / 1000.0) || ' seconds')"
        model_id, worker = f"'{model['id'].replace('-', '')}'", "'000000000000700080000000000000ff'"
    if orphan:
        names = "id, host, pid, version, concurrency, started_at, heartbeat_at, lease_expires_at, draining"
        site.database.execute(
            f"INSERT INTO runs_worker ({names}) SELECT {worker}, 'gone', 1, '0', 1, created_at, created_at, "
            f"created_at, {'false' if isinstance(site.database, Postgres) else 0} FROM runs_run"
        )
    thread_id = re.sub(r"\bi\b", f"(1 + i % {threads})", identity.format("9000"))
    changes = {"id": identity.format("9000"), "status": "'busy'", "epoch": "1", "created_at": past}
    insert(site, "threads_thread", thread, changes, f"{numbers.replace(str(count), str(threads))}")
    changes = {"id": identity.format("a000"), "thread_id": thread_id, "status": f"'{status}'", "due_at": past}
    changes |= {"created_at": past, "updated_at": past, "started_at": "NULL", "finished_at": "NULL"}
    changes |= {
        "worker_id": worker if orphan else "NULL",
        "epoch": str(int(orphan)),
        "attempt": str(int(orphan)),
    }
    insert(site, "runs_run", model, changes, numbers)
    site.database.execute(f"DELETE FROM runs_run WHERE id = {model_id}")
    site.database.execute("DELETE FROM threads_thread WHERE id NOT IN (SELECT thread_id FROM runs_run)")


def insert(site: Site, table: str, row: Row, changes: dict[str, str], numbers: str) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    values = ", ".join(changes.get(name, f'm."{name}"') for name in row)
    site.database.execute(f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM n, {table} m")


def test_ten_thousand_orphans_do_not_delay_the_start_and_go_on_in_order(site: Site) -> None:
    began = time.monotonic()
    site.start(*SERVE_ONLY)
    usual = time.monotonic() - began
    site.create("gated")
    site.process.stop()
    seed(site, count=10_000, status="running", threads=10_000)
    began = time.monotonic()
    site.start(RUN_CONCURRENCY="20")
    took = time.monotonic() - began
    assert took < usual + within(3), f"{took:.1f} s; without orphans {usual:.1f} s"
    assert site.client().threads.create()["status"] == "idle"
    counted = "SELECT count(*) AS n FROM runs_run WHERE status = 'running'"
    eventually(
        lambda: (
            site.database.rows(counted)[0]["n"] == 20
            and site.database.rows("SELECT count(*) AS n FROM runs_run WHERE lost_attempts = 1")[0]["n"]
            == 10_000
        ),
        timeout=60,
        what="all are recovered, and 20 of them execute",
    )
    ids = site.database.rows("SELECT id FROM runs_run WHERE attempt = 2 ORDER BY started_at, id")
    oldest = site.database.rows("SELECT id FROM runs_run ORDER BY created_at, id LIMIT 20")
    assert sorted(row["id"] for row in ids) == sorted(row["id"] for row in oldest), "the oldest come first"
    assert "Reconciled" in site.output
    assert site.process.stop() == 0
    sound(site, waiting=10_000)


def test_a_thousand_runs_that_wait_for_one_thread_hide_no_other_threads_run(site: Site) -> None:
    site.start(*SERVE_ONLY)
    site.create("gated")
    site.process.stop()
    seed(site, count=1000, status="pending", threads=1)
    site.start()
    eventually(lambda: site.database.rows("SELECT id FROM runs_run WHERE status = 'running'"))
    for _ in range(3):
        run = site.create("steps")
        assert site.finish(run)["status"] == "success"
    rows = site.database.rows("SELECT status FROM runs_run WHERE status = 'running'")
    assert len(rows) == 1
    [running] = site.database.rows("SELECT id FROM runs_run WHERE status = 'running'")
    [oldest] = site.database.rows("SELECT id FROM runs_run ORDER BY created_at, id LIMIT 1")
    assert running == oldest
    assert site.process.stop() == 0
    sound(site, waiting=1000)


# Concurrent first starts


@pytest.mark.postgresql
def test_four_processes_start_at_once_on_an_empty_migrated_database(site: Site) -> None:
    crowd = [site.spawn(*SERVE, port=free_port()) for _ in range(4)]
    for process in crowd:
        process.ready()
    runs = [site.create("steps", process=process) for process in crowd]
    for run in runs:
        assert site.finish(run)["status"] == "success"
    systems = site.database.rows("SELECT graph_id FROM runs_assistant WHERE user_id IS NULL")
    assert len(systems) == len({row["graph_id"] for row in systems})
    stop(*crowd)
    sound(site)


def test_four_processes_migrate_an_empty_database_at_once(
    tmp_path: Path, cache: Path, template: Template
) -> None:
    with template.empty() as url:
        settings = {"DATABASE_URL": url} if url else {}
        crowd = [
            subprocess.Popen(
                [sys.executable, "manage.py", "migrate", "-v", "0"],
                cwd=ROOT,
                env=environment(cache, DATA_DIR=str(tmp_path), **settings),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(4)
        ]
        said = [process.communicate(timeout=100)[0] for process in crowd]
        assert [process.returncode for process in crowd] == [0] * 4, "\n".join(text for text in said if text)


# A database from an older copy


def test_after_an_older_copy_is_restored_and_its_epochs_raised_no_event_id_comes_twice(
    site: Site, tmp_path: Path
) -> None:
    """The procedure in docs/reference/faults.md: no event id that clients saw is used again."""
    site.start()
    run = site.create("gated", stream_mode=["values", "updates", "debug"])
    site.executing(run, "gate")
    eventually(lambda: len(site.events(run)) >= 4)
    site.process.kill()
    keep = save(site)
    site.start()
    site.executing(run, "gate", times=2)
    site.open_gate()
    assert site.finish(run)["status"] == "success"
    lost = [(row["epoch"], row["seq"]) for row in site.events(run)]
    site.process.kill()
    restore(site, keep)
    assert site.row(run)["status"] == "running"
    documented = re.findall(
        r"^UPDATE .*;$", (ROOT / "docs" / "reference" / "faults.md").read_text(), re.MULTILINE
    )
    assert len(documented) == 2
    for statement in documented:
        site.database.execute(statement)
    site.start()
    reader = Reader(site, run, after=f"{lost[-1][0]}-{lost[-1][1]}")
    assert site.finish(run)["status"] == "success"
    ids = reader.finish()
    assert min(ids) > max(lost)
    assert ids == [(row["epoch"], row["seq"]) for row in site.events(run) if row["epoch"] > lost[-1][0]]
    assert reader.names[0] == "metadata"
    assert site.process.stop() == 0
    sound(site)


def save(site: Site) -> str:
    """Copy an unused database."""
    if isinstance(site.database, Postgres):
        name = postgres(site).url.rpartition("/")[2]
        elsewhere(site, f"CREATE DATABASE {name}_kept TEMPLATE {name}")
        return f"{name}_kept"
    kept = site.folder / "kept"
    kept.mkdir()
    for file in site.folder.glob("*.sqlite3*"):
        (kept / file.name).write_bytes(file.read_bytes())
    return str(kept)


def restore(site: Site, kept: str) -> None:
    """Replace the database by the copy."""
    if isinstance(site.database, Postgres):
        name = postgres(site).url.rpartition("/")[2]
        elsewhere(site, f"DROP DATABASE {name} WITH (FORCE)")
        elsewhere(site, f"ALTER DATABASE {kept} RENAME TO {name}")
        return
    for file in site.folder.glob("*.sqlite3*"):
        file.unlink()
    for file in Path(kept).iterdir():
        (site.folder / file.name).write_bytes(file.read_bytes())


def elsewhere(site: Site, query: str) -> None:
    """Execute on the server, outside the site's database, once that has no connections."""
    url = postgres(site).url
    name = url.rpartition("/")[2]
    server = Postgres(url.rpartition("/")[0] + "/postgres")
    eventually(
        lambda: not server.rows(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"),
        what="the killed process's connections end",
    )
    server.execute(query)
