"""A disk that is full while a file exists: for SQLite, a limit of the checkpoints' file; for PostgreSQL, a trigger."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from django.apps import AppConfig

#: Its name in the site's folder.
FILE = "full"
#: SQLite's own limit of pages.
UNLIMITED = 1_073_741_823
FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION full_disk()
"""
ROOM = "DROP FUNCTION full_disk CASCADE"


class FullDisk(AppConfig):
    """Limits the checkpoints' file to its present size while the file exists."""

    name = "tests.incidents.full_disk"

    def ready(self) -> None:
        # Not above: models are not loaded there.
        from threads.checkpoints.sqlite.storage import SqliteCheckpoints

        full = Path(os.environ.get("DATA_DIR", ".")) / FILE
        connect = SqliteCheckpoints._connection

        def limited(self: SqliteCheckpoints, file: Path) -> sqlite3.Connection:
            db = connect(self, file)
            if file == self._file:
                [size] = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count={size if full.exists() else UNLIMITED}")
            return db

        SqliteCheckpoints._connection = limited  # type: ignore[method-assign]
