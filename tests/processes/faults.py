"""Faults that tests inject into a site's database, and their observations meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.processes.databases import Database, Postgres, Row
from tests.processes.harness import TERMINAL, Process, Site, free_port
from tests.processes.proxy import Proxy

SERVE_ONLY = ("manage.py", "serve", "--no-execute", "--port", "{port}")
SERVE = ("manage.py", "serve", "--port", "{port}")
#: Leases longer than any fault of these tests.
LONG = {"LEASE": 30.0, "HEARTBEAT": 2.0}
#: Allowed log messages while the database refuses the server.
REFUSED = r"failed: |Service Unavailable|could not be|Events could not|are tried again|is tried again"
#: The nodes of the graph `gated`.
GATED = ["before", "gate", "after", "last"]


def front(site: Site, **options: str) -> Process:
    """A process that serves but executes no runs."""
    return site.start(*SERVE_ONLY, port=free_port(), **options)


def stop(*processes: Process) -> None:
    for process in processes:
        assert process.stop() == 0, process.tail


def postgres(site: Site) -> Postgres:
    assert isinstance(site.database, Postgres)
    return site.database


@contextmanager
def proxied(site: Site) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of the site's PostgreSQL, and the database's URL through it."""
    found = re.search(r":(\d+)/", url := postgres(site).url)
    assert found is not None
    with Proxy(int(found[1])) as proxy:
        yield proxy, url.replace(found[0], f":{proxy.port}/")


def end_backends(site: Site) -> int:
    """End all other connections to the site's database; return their number."""
    ended = site.database.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return len(ended)


@contextmanager
def raising(
    database: Database, sqlstate: str, *tables: str, event: str = "INSERT OR UPDATE", every: int = 1
) -> Iterator[None]:
    """Let each `every`-th row written to these tables fail with an error, within the context."""
    database.execute("CREATE SEQUENCE faults")  # it also counts what is rolled back
    database.execute(
        "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('faults') % {every} = 0 THEN RAISE EXCEPTION 'injected' USING ERRCODE = '{sqlstate}'; END IF; "
        "RETURN NEW; END $$"
    )
    for table in tables:
        database.execute(
            f"CREATE TRIGGER fault BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION fault()"
        )
    try:
        yield
    finally:
        database.execute("DROP FUNCTION fault() CASCADE")
        database.execute("DROP SEQUENCE faults")


def injected(site: Site) -> int:
    """How many rows the fault's trigger has seen."""
    [row] = site.database.rows("SELECT last_value, is_called FROM faults")
    return int(row["last_value"]) if row["is_called"] else 0


def workers(site: Site) -> dict[str, int]:
    """The process of each worker, including ended ones, by the worker's id."""
    return {row["id"]: row["pid"] for row in site.database.rows("SELECT id, pid FROM runs_worker")}


def owner(site: Site, run: Row, *processes: Process) -> Process:
    """The process that executes a run."""
    pid = workers(site)[site.row(run)["worker_id"]]
    return next(process for process in processes if process.pid == pid)


def left(site: Site, *runs: Row) -> tuple[list[object], list[Row]]:
    """All rows of runs, for a later comparison."""
    rows: list[object] = [(site.row(run), site.thread(run), site.events(run)) for run in runs]
    return rows, site.database.checkpoints()


def memory(process: Process) -> int:
    """The resident memory of a process, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def is_frozen(process: Process) -> bool:
    """Whether a process is stopped by a signal."""
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def finished(site: Site) -> int:
    [row] = site.database.rows(f"SELECT count(*) FROM runs_run WHERE status IN {tuple(sorted(TERMINAL))}")
    return int(row["count"])


@contextmanager
def locked(site: Site, thread_id: str) -> Iterator[None]:
    """Hold the lock of a thread's row."""
    with psycopg.connect(postgres(site).url) as db:
        db.execute("SELECT 1 FROM threads_thread WHERE id = %s FOR UPDATE", [thread_id])
        yield
        db.rollback()
