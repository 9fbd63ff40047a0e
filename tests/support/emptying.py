"""Empties the database quickly after each test, and drops it after the last one.

Django empties every table of every application and then runs the hooks of `migrate` again, which
takes most of a second, two thousand times. Here only tables with rows are emptied, and the rows of
migrations stay.
"""

from __future__ import annotations

from functools import cache

from django.db import connection, transaction
from django.db.backends.postgresql.creation import DatabaseCreation
from django.test import TransactionTestCase

#: The tables that `migrate` fills.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def empty_quickly() -> None:
    """Let every later transactional test end with `empty`."""
    TransactionTestCase._fixture_teardown = empty  # type: ignore[attr-defined]


def drop_in_use() -> None:
    """Let PostgreSQL drop the tests' database although a thread that hangs still holds a session."""

    def destroy(self: DatabaseCreation, test_database_name: str, verbosity: int) -> None:
        with self._nodb_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(f"DROP DATABASE {self.connection.ops.quote_name(test_database_name)} WITH (FORCE)")

    DatabaseCreation._destroy_test_db = destroy  # type: ignore[method-assign]


def empty(_: object = None) -> None:
    """Delete all rows; foreign keys are checked at the end of the transaction."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        for table in filled():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def filled() -> list[str]:
    """The tables with rows, by one query."""
    name = connection.ops.quote_name
    asked = [f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {name(table)})" for table in tables()]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        return [table for (table,) in cursor.fetchall()]


@cache
def tables() -> frozenset[str]:
    return frozenset(connection.introspection.django_table_names(only_existing=True)) - KEPT
