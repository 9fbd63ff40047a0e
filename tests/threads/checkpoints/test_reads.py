"""Retries of checkpoint reads after transient faults."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
import pytest
from django import db

from threads.checkpoints import StorageFailed, StorageUnavailable
from threads.checkpoints.reads import read_again


class Reading:
    """A read with scripted failures before it succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "read"


PASSING: list[Any] = [
    psycopg.errors.AdminShutdown(),
    psycopg.OperationalError("connection failed"),
    psycopg.InterfaceError("the connection is closed"),
    sqlite3.OperationalError("database is locked"),
    db.OperationalError("server closed the connection"),
    db.InterfaceError("connection already closed"),
    TimeoutError(),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
async def test_a_fault_that_passes_is_read_over(error: Exception) -> None:
    reading = Reading(error, error)
    assert await read_again(reading, seconds=5) == "read"
    assert reading.calls == 3


@pytest.mark.parametrize(
    "error", [ValueError("no such class"), psycopg.errors.UndefinedTable(), KeyError("x")]
)
async def test_what_will_not_pass_is_raised_at_once(error: Exception) -> None:
    reading = Reading(error)
    with pytest.raises(type(error)):
        await read_again(reading, seconds=5)
    assert reading.calls == 1


async def test_when_the_time_is_used_up_the_storage_is_unavailable() -> None:
    reading = Reading(*[psycopg.OperationalError("down")] * 100)
    with pytest.raises(StorageUnavailable, match=r"could not be read for 0\.2 s") as caught:
        await read_again(reading, seconds=0.2)
    assert isinstance(caught.value, StorageFailed)
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    assert 1 < reading.calls < 10
