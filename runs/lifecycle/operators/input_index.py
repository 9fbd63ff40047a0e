"""An index over the text of runs' inputs, which a site of many runs may build: PostgreSQL's trigrams.

Without it a search looks at the newest runs only. It is no migration, because it makes each creation
of a run dearer and needs the extension pg_trgm (docs/topics/admin.md has figures).
"""

from __future__ import annotations

from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from runs.exceptions import InvalidRequest
from runs.models import Run

NAME = "runs_inputs_trgm"
EXTENSION = "pg_trgm"
#: Shorter texts have no trigram, so that the index cannot find them.
SHORTEST = 3
#: The most runs that are found by the index.
MOST = 5000
EXISTS = """
SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relname = %s AND indisvalid AND indrelid = to_regclass(%s)
"""
NEEDS_POSTGRESQL = "The index over inputs needs PostgreSQL; on SQLite the newest runs are searched."
NO_EXTENSION = (
    "The index over inputs needs the extension pg_trgm, which this PostgreSQL lacks or does not let this user "
    "create: {why}. Install it (on Debian: postgresql-contrib), and have an administrator execute "
    "CREATE EXTENSION pg_trgm in this database."
)


def present() -> bool:
    """Whether the index can be used. One query."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(EXISTS, [NAME, Run._meta.db_table])
        return cursor.fetchone() is not None


def found(text: str) -> list[UUID] | None:
    """The runs whose inputs have a text, by the index; None if it is absent, or if there are more than `MOST`.

    A statement of its own, because beside an order and a limit PostgreSQL goes through all runs by their
    ids in the hope to meet enough of them soon.
    """
    if len(text) < SHORTEST or not present():
        return None
    rows = Run.objects.alias(searched=Cast("kwargs", TextField())).filter(searched__icontains=text)
    ids = list(rows.order_by().values_list("id", flat=True)[: MOST + 1])
    return ids if len(ids) <= MOST else None


def build() -> bool:
    """Build the index while runs are created and executed; return whether it was missing.

    Raises InvalidRequest with a sentence if this database cannot have it.
    """
    if connection.vendor != "postgresql":
        raise InvalidRequest(NEEDS_POSTGRESQL)
    if present():
        return False
    with connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}")
        except DatabaseError as error:
            why = str(error).strip().splitlines()[0]
            raise InvalidRequest(NO_EXTENSION.format(why=why)) from error
        # An interrupted build leaves an invalid index, which is never used.
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
        cursor.execute(
            f"CREATE INDEX CONCURRENTLY {NAME} ON {Run._meta.db_table} USING gin (upper(kwargs) gin_trgm_ops)"
        )
        # Statistics of the index's expression, without which the planner guesses.
        cursor.execute(f"ANALYZE {Run._meta.db_table}")
    return True


def drop() -> bool:
    """Remove the index; return whether there was one."""
    found = present()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
    return found
