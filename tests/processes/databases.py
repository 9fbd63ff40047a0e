"""A migrated database for each test, copied from one that is migrated once per session."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

ROOT = Path(__file__).resolve().parents[2]
numbers = itertools.count()

Row = dict[str, Any]


def environment(cache: Path, **more: str) -> dict[str, str]:
    """A server process's environment: the test's settings, and a cache of compiled modules."""
    ours = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in ours if name in os.environ}
    kept |= {
        "DJANGO_SETTINGS_MODULE": "tests.processes.settings",
        "PYTHONPYCACHEPREFIX": str(cache),
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **more}


class Database(ABC):
    """The database of one site, read by plain SQL, independent of the server."""

    #: For the server's environment.
    settings: dict[str, str]

    @abstractmethod
    def rows(self, query: str) -> list[Row]:
        """The rows of a query; ids as text with dashes."""

    @staticmethod
    def key(id: str) -> str:
        """An id in its column's format."""
        return id

    @abstractmethod
    def execute(self, query: str) -> None: ...

    @abstractmethod
    def checkpoints(self) -> list[Row]:
        """All checkpoints: thread_id, ns, id, parent, run_id and source, oldest first."""


class Sqlite(Database):
    settings: dict[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.file, self._checkpoints = folder / "db.sqlite3", folder / "checkpoints.sqlite3"

    @staticmethod
    def key(id: str) -> str:
        return id.replace("-", "")

    def rows(self, query: str) -> list[Row]:
        return [
            {key: _dashed(key, value) for key, value in row.items()} for row in self._read(self.file, query)
        ]

    def execute(self, query: str) -> None:
        with closing(sqlite3.connect(self.file, timeout=30)) as db, db:
            db.execute(query)

    def checkpoints(self) -> list[Row]:
        return self._read(
            self._checkpoints,
            """SELECT thread_id, checkpoint_ns AS ns, checkpoint_id AS id, parent_checkpoint_id AS parent,
            json_extract(CAST(metadata AS TEXT), '$.run_id') AS run_id,
            json_extract(CAST(metadata AS TEXT), '$.source') AS source FROM checkpoints ORDER BY checkpoint_id""",
        )

    @staticmethod
    def _read(file: Path, query: str) -> list[Row]:
        with closing(sqlite3.connect(file, timeout=30)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Block all writers."""
        with closing(sqlite3.connect(self.file, timeout=30, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                db.execute("ROLLBACK")


def _dashed(key: str, value: Any) -> Any:
    is_id = (key == "id" or key.endswith("_id")) and isinstance(value, str) and len(value) == 32
    return str(UUID(value)) if is_id else value


class Postgres(Database):
    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = {"DATABASE_URL": url}

    def rows(self, query: str) -> list[Row]:
        with psycopg.connect(self.url, row_factory=dict_row) as db:
            found = db.execute(query).fetchall()  # type: ignore[arg-type]
        return [{key: str(v) if isinstance(v, UUID) else v for key, v in row.items()} for row in found]

    def execute(self, query: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(query)  # type: ignore[arg-type]

    def checkpoints(self) -> list[Row]:
        return self.rows(
            """SELECT thread_id, checkpoint_ns AS ns, checkpoint_id AS id, parent_checkpoint_id AS parent,
            metadata->>'run_id' AS run_id, metadata->>'source' AS source FROM checkpoints ORDER BY checkpoint_id"""
        )


class Template:
    """A migrated database of this session, and copies of it."""

    def __init__(self, folder: Path, cache: Path, **settings: str) -> None:
        self.folder, self.cache = folder, cache
        self._server = os.environ.get("DATABASE_URL", "")
        self._name = f"template_{os.getpid()}_{next(numbers)}"
        if self._server:
            self._on_server(f"CREATE DATABASE {self._name}")
        migrate(
            folder, cache, **settings, **({"DATABASE_URL": self._url(self._name)} if self._server else {})
        )

    @contextmanager
    def copy(self, folder: Path) -> Iterator[Database]:
        if not self._server:
            shutil.copy(self.folder / "db.sqlite3", folder)
            yield Sqlite(folder)
            return
        name = f"site_{os.getpid()}_{next(numbers)}"
        self._on_server(f"CREATE DATABASE {name} TEMPLATE {self._name}")
        try:
            yield Postgres(self._url(name))
        finally:
            self._on_server(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def empty(self) -> Iterator[str]:
        """An empty PostgreSQL database; "" when the tests are on SQLite."""
        if not self._server:
            yield ""
            return
        name = f"empty_{os.getpid()}"
        self._on_server(f"CREATE DATABASE {name}")
        try:
            yield self._url(name)
        finally:
            self._on_server(f"DROP DATABASE {name} WITH (FORCE)")

    def drop(self) -> None:
        if self._server:
            self._on_server(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return self._server.rpartition("/")[0] + "/" + name

    def _on_server(self, query: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as db:
            db.execute(query)  # type: ignore[arg-type]


def migrate(folder: Path, cache: Path, **settings: str) -> None:
    """Migrate the database of these settings, or the SQLite one in the folder."""
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v", "0"],
        cwd=ROOT,
        env=environment(cache, DATA_DIR=str(folder), **settings),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
