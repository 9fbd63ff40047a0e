"""The database restarts, or is too slow, in the middle of a run."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.databases import Database, Postgres, Sqlite, migrate
from tests.processes.harness import STEPS, Site, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import RawReader
from tests.support import postgres
from tests.support.requirements import require

DRAIN = 3.0


@contextmanager
def too_slow(database: Database) -> Iterator[None]:
    """Block all updates of runs' rows."""
    if isinstance(database, Sqlite):
        with database.locked():
            yield
        return
    database.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$"
    )
    database.execute("CREATE TRIGGER slow BEFORE UPDATE ON runs_run FOR EACH ROW EXECUTE FUNCTION slow()")
    try:
        yield
    finally:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        database.execute("DROP FUNCTION slow() CASCADE")


def test_a_drain_ends_in_time_on_a_database_that_does_not_answer_and_says_what_is_unwritten(
    site: Site,
) -> None:
    site.start(DRAIN_SECONDS=str(DRAIN))
    runs = [site.create("gated"), site.create("gated")]
    for run in runs:
        site.executing(run, "gate")
    with too_slow(site.database):
        site.open_gate()
        began = time.monotonic()
        site.process.send()
        assert site.process.wait() == 0
        took = time.monotonic() - began
    for run in runs:
        assert re.search(f"Run {run['run_id']}.*status could not be written", site.output)
        assert site.row(run)["status"] == "running"
    assert took < DRAIN + within(3), "the drain's time, plus closing and the interpreter's exit"

    site.start()
    for run in runs:
        assert site.finish(run)["status"] == "success"
        assert site.values(run)["log"] == ["before", "gate", "after", "last"]
    assert site.process.stop() == 0
    sound(site, allowed="status could not be written|lease could not be ended|database calls did not end")


@pytest.mark.postgresql
def test_runs_outlive_a_crash_of_postgres(tmp_path: Path, cache: Path) -> None:
    programs = postgres.binaries()
    require(
        None
        if programs
        else "PostgreSQL's own programs are not installed: this test stops a server of its own"
    )
    with postgres.server() as server:
        database = Postgres(server.url)
        migrate(tmp_path, cache, **database.settings)
        site = Site(tmp_path, database, cache=cache)
        try:
            # A slow restart of the database must not make a run count as lost.
            site.start(run_settings={"LEASE": 30.0, "HEARTBEAT": 2.0})
            runs = [
                site.create("steps", {"delay": delay}, durability=durability)
                for delay in (0.2, 0.3)
                for durability in ("sync", "async")
            ]
            readers = [RawReader(site, run) for run in runs]
            site.executing(runs[-1], "s3")
            server.stop("immediate")
            server.start()
            for run, reader in zip(runs, readers, strict=True):
                row = site.finish(run)
                assert (row["status"], row["attempt"]) == ("success", 1)
                assert site.executed(run) == STEPS
                assert site.values(run)["log"] == STEPS
                reader.join(20)
                assert reader.end == "ended"
                read_everything(site, run, reader.ids)
            assert site.process.stop() == 0
            sound(site)
        finally:
            site.close()
