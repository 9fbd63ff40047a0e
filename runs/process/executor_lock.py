"""On SQLite, the lock of the one process that executes runs.

It is an OS lock on a file beside the database. A process that gets it knows that all earlier
workers are dead, unless the file was deleted: the lock of a new file proves nothing, so leases
decide then.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from django.db import DatabaseError, connection

from runs.exceptions import StartupError
from runs.models import Worker
from runs.process import forks
from threads.db import clock
from threads.db.database import in_database

#: How often the lock is tried, and the pause between two tries in seconds, because a reconciliation
#: holds it for a moment.
TRIES, PAUSE = 20, 0.1


def lock_path() -> Path:
    """The file beside the SQLite database whose lock the executing process holds."""
    name = Path(str(connection.settings_dict["NAME"]))
    return name.with_name(name.name + ".lock")


@contextmanager
def sole_executor() -> Iterator[bool]:
    """Hold the lock of the one executing process; yields whether all earlier workers are dead."""
    path = lock_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a+") as file:
        if not _locked(file, path):
            yield False
            return
        try:
            if is_new and _somebody_may_live():
                # The next process must find no file either, or its lock would seem to prove something.
                path.unlink()
                yield False
                return
            _note_holder(file)
            with forks.not_inherited(file.fileno()):
                yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _locked(file: IO[str], path: Path) -> bool:
    """Take the lock if it is free, and if the file has not been deleted or replaced meanwhile."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _somebody_may_live() -> bool:
    try:
        return Worker.objects.filter(stopped_at__isnull=True, lease_expires_at__gt=clock.now()).exists()
    except DatabaseError:
        return False  # There are no tables yet, which the start reports.


def _note_holder(file: IO[str]) -> None:
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()


@asynccontextmanager
async def executing_alone() -> AsyncIterator[None]:
    """On SQLite, be the one process that executes runs on this database.

    Raises StartupError (exit code 3) if another process is, or may be.
    """
    if connection.vendor == "postgresql":
        yield
        return
    for _ in range(TRIES):
        with ExitStack() as stack:
            if await in_database(stack.enter_context, sole_executor()):
                yield
                return
        await asyncio.sleep(PAUSE)
    raise StartupError(_refusal(lock_path()), exit_code=3)


def _refusal(path: Path) -> str:
    if path.exists():
        return (
            f"Another process executes runs on this SQLite database (it holds {path}). Stop it, start "
            "this one with --no-execute, or use PostgreSQL by setting DATABASE_URL."
        )
    return (
        f"The file {path} was deleted, and another process may be executing runs on this SQLite database. "
        "Stop it, or start this one again when its lease has ended."
    )
