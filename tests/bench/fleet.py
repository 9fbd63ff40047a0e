"""Several processes on one PostgreSQL: a chosen number that serve, and a number that execute."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.processes import Child, Server, environment


@dataclass
class Fleet:
    """Processes that only serve, processes that only execute, and their database."""

    folder: Path
    url: str
    site: dict[str, str]
    fronts: list[Server] = field(default_factory=list)
    workers: list[Child] = field(default_factory=list)

    async def add_front(self) -> None:
        arguments = ("manage.py", "serve", "--no-execute", "--port", "0")
        front = await Server.start(*arguments, log=self.folder / "fleet.log", environment=self.site)
        self.fronts.append(front)
        front.port = int((await front.line()).rpartition(":")[2])

    async def add_worker(self) -> Child:
        arguments = ("manage.py", "run_worker")
        worker = await Child.start(*arguments, log=self.folder / "fleet.log", environment=self.site)
        self.workers.append(worker)
        await worker.line()
        return worker

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Query the database on a separate connection."""
        with psycopg.connect(self.url, autocommit=True) as database:
            return database.execute(query, parameters).fetchall()

    def owner(self, run_id: str) -> Child:
        """The worker that executes a run."""
        ((pid,),) = self.rows(
            "SELECT w.pid FROM runs_run r JOIN runs_worker w ON w.id = r.worker_id WHERE r.id = %s", run_id
        )
        return next(worker for worker in self.workers if worker.pid == pid)

    async def stop(self) -> None:
        await asyncio.gather(*(each.stop() for each in (*self.fronts, *self.workers)))


@asynccontextmanager
async def fleet(
    folder: Path, url: str, *, fronts: int, workers: int, **settings: Any
) -> AsyncIterator[Fleet]:
    """A fleet on a database that is migrated first.

    Args:
        settings: Entries of the `RUNS` setting that differ from the defaults.
    """
    (folder / "static").mkdir(parents=True, exist_ok=True)
    changes = {"RUN_SETTINGS": json.dumps(settings)}
    opened = Fleet(folder, url, environment(folder, url, **changes))
    log = folder / "fleet.log"
    migration = await Child.start(
        "manage.py", "migrate", "--verbosity", "0", log=log, environment=opened.site
    )
    if await migration.ended():
        raise RuntimeError(f"The migration failed:\n{log.read_text()[-4000:]}")
    try:
        await asyncio.gather(
            *(opened.add_front() for _ in range(fronts)), *(opened.add_worker() for _ in range(workers))
        )
        yield opened
    except BaseException:
        print(f"The fleet's log ends with:\n{log.read_text()[-2000:]}", file=sys.stderr)
        raise
    finally:
        await opened.stop()


def connections_of(pid: int, port: int) -> int:
    """How many TCP connections a process has to a port of this machine (Linux)."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{name}")
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return sum(line[9] in inodes and int(line[2].rpartition(":")[2], 16) == port for line in lines)
