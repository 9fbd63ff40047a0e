"""Which errors count as the database's, and which as the statement's."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pytest
from django import db

from threads.db.errors import is_full, is_passing


def wrapped(error: psycopg.Error) -> db.DatabaseError:
    """An error wrapped like by Django."""
    named = next(each for each in type(error).__mro__ if hasattr(db, each.__name__))
    django: db.DatabaseError = getattr(db, named.__name__)(*error.args)
    django.__cause__ = error
    return django


def of(sqlstate: str) -> psycopg.Error:
    return psycopg.errors.lookup(sqlstate)("no")


LOST = [
    "25P02",
    "25P03",
    "25P04",
    "25006",
    "57P01",
    "57P02",
    "57P03",
    "08006",
    "53300",
    "53100",
    "40001",
    "57014",
]
WRONG = ["54000", "42P01", "23505", "22003", "25001", "XX000"]


@pytest.mark.parametrize("sqlstate", LOST)
def test_what_is_lost_passes_under_each_of_its_names(sqlstate: str) -> None:
    assert is_passing(of(sqlstate))
    assert is_passing(wrapped(of(sqlstate)))


@pytest.mark.parametrize("sqlstate", WRONG)
def test_a_wrong_statement_does_not_pass_under_any_name(sqlstate: str) -> None:
    assert not is_passing(of(sqlstate))
    assert not is_passing(wrapped(of(sqlstate)))


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("the connection is lost"),
        psycopg.InterfaceError("the connection is closed"),
        sqlite3.OperationalError("database is locked"),
        db.InterfaceError("connection already closed"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_has_no_code_is_known_by_its_class(error: Exception) -> None:
    assert is_passing(error)
    assert not is_passing(RuntimeError(str(error)))


def test_a_full_disk_is_known_under_each_of_its_names() -> None:
    assert is_full(of("53100"))
    assert is_full(wrapped(of("53100")))
    with closing(sqlite3.connect(":memory:")) as full:
        full.execute("PRAGMA max_page_count=1")
        with pytest.raises(sqlite3.OperationalError) as caught:
            full.execute("CREATE TABLE a (b)")
    assert is_full(caught.value)
    assert not is_full(of("53300"))
    assert not is_full(sqlite3.OperationalError("database is locked"))
