"""Queries that take too long are interrupted, and nothing else is."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from django.db import DatabaseError, connection

from threads.db import database, time_limits
from threads.db.database import in_database
from threads.db.time_limits import QueryTooSlow, interruptible, limited, time_limit
from threads.db.values.json import SQLITE_FUNCTION, contains_text

pytestmark = pytest.mark.django_db(transaction=True)

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    yield
    database.threads.close()


def query(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def endless() -> object:
    return query(ENDLESS[connection.vendor])


async def test_a_query_that_takes_too_long_is_interrupted_and_the_next_one_is_not() -> None:
    for _ in range(3):
        began = time.monotonic()
        with time_limit(0.3), pytest.raises(QueryTooSlow, match=r"stopped after 0\.3 s"):
            await in_database(endless)
        assert 0.25 < time.monotonic() - began < 5
        with time_limit(0.3):
            assert await in_database(query, "SELECT 7") == 7


@pytest.mark.sqlite
async def test_a_search_that_compares_row_by_row_is_interrupted() -> None:
    compares = f"count(*) FROM n WHERE {SQLITE_FUNCTION}('{{}}', '[9]')"

    def search() -> object:
        connection.ensure_connection()
        connection.connection.create_function(SQLITE_FUNCTION, 2, contains_text, deterministic=False)
        return query(ENDLESS["sqlite"].replace("max(i) FROM n", compares))

    with time_limit(0.3), pytest.raises(QueryTooSlow):
        await in_database(search)


@pytest.mark.sqlite
async def test_a_connection_of_its_own_is_interrupted_too() -> None:
    def search() -> object:
        with closing(sqlite3.connect(":memory:")) as db, interruptible(db):
            return db.execute(ENDLESS["sqlite"]).fetchone()

    with time_limit(0.3), pytest.raises(QueryTooSlow):
        await in_database(search)
    with time_limit(0.3):
        assert await in_database(query, "SELECT 7") == 7


async def test_quick_queries_are_never_interrupted() -> None:
    with time_limit(0.02):
        for number in range(300):
            assert await in_database(query, f"SELECT {number}") == number


async def test_several_queries_of_one_call_share_its_time() -> None:
    def twice() -> object:
        time.sleep(0.2)  # the time of the first query
        return endless()

    with time_limit(0.3), pytest.raises(QueryTooSlow):
        began = time.monotonic()
        await in_database(twice)
    assert time.monotonic() - began < 5


async def test_a_query_whose_client_has_left_is_interrupted_too() -> None:
    with time_limit(0.5):
        # As many as there are threads for searches.
        asking = [
            asyncio.create_task(in_database(endless)) for _ in range(database.SEARCHING[connection.vendor])
        ]
        await asyncio.sleep(0.2)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        async with asyncio.timeout(10):
            assert await in_database(query, "SELECT 1") == 1


async def test_searches_that_take_long_hold_up_no_other_call() -> None:
    with time_limit(1.0):
        asking = [
            asyncio.create_task(in_database(endless))
            for _ in range(database.SEARCHING[connection.vendor] + 1)
        ]
        await asyncio.sleep(0.2)
    for _ in range(5):
        began = time.monotonic()
        await in_database(query, "SELECT 1")
        assert time.monotonic() - began < 0.5
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(each, QueryTooSlow) for each in ended)


async def test_without_a_limit_nothing_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "LONGEST", 0.1)

    def slow() -> str:
        time.sleep(0.3)
        query("SELECT 1")
        return "whole"

    assert await in_database(slow) == "whole"


async def test_another_error_stays_what_it_is() -> None:
    with time_limit(5), pytest.raises(DatabaseError, match="nowhere"):
        await in_database(query, "SELECT * FROM nowhere")


async def test_asynchronous_reads_have_the_limit_too() -> None:
    interrupted = []

    async def interrupt() -> None:
        interrupted.append(True)

    with time_limit(0.05), pytest.raises(QueryTooSlow):
        async with limited(interrupt):
            await asyncio.sleep(10)
    assert interrupted == [True]
    async with limited(interrupt):
        await asyncio.sleep(0.1)
    assert interrupted == [True]
