"""Database threads hide faults of connections and transactions where possible."""

from __future__ import annotations

import asyncio
import select
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction

from threads.db import database
from threads.db.database import in_database

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    yield
    database.threads.close()


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


async def test_a_connection_that_the_server_ended_while_it_was_idle_fails_nobody() -> None:
    barrier = threading.Barrier(database.THREADS["postgresql"])

    def meet() -> int:
        barrier.wait(10)
        return backend()

    pids = await asyncio.gather(*(in_database(meet) for _ in range(barrier.parties)))
    assert len(set(pids)) == barrier.parties

    def end(others: list[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", [others])

    await asyncio.to_thread(lambda: (end(list(pids)), connection.close()))
    fresh = await asyncio.gather(*(in_database(meet) for _ in range(barrier.parties)))
    assert not set(fresh) & set(pids)


async def test_two_transactions_that_deadlock_both_succeed() -> None:
    users: Any = get_user_model().objects
    first, second = [await in_database(users.create_user, name) for name in ("first", "second")]
    both = threading.Barrier(2)

    def change(one: int, other: int) -> int:
        attempts.append(one)
        with transaction.atomic():
            users.filter(pk=one).update(first_name=f"by {one}")
            if len(attempts) <= 2:
                both.wait(10)
            users.filter(pk=other).update(last_name=f"by {one}")
        return one

    attempts: list[int] = []
    done = await asyncio.gather(
        in_database(change, first.pk, second.pk), in_database(change, second.pk, first.pk)
    )
    assert sorted(done) == sorted([first.pk, second.pk])
    assert len(attempts) >= 3


def refusing(sqlstate: str) -> Callable[[], None]:
    def refuse() -> None:
        tries.append(sqlstate)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$")

    tries: list[str] = []
    refuse.tries = tries  # type: ignore[attr-defined]
    return refuse


@pytest.mark.parametrize(("sqlstate", "tries"), [("40001", 4), ("40P01", 4), ("57014", 1), ("53100", 1)])
async def test_only_a_sacrificed_transaction_is_tried_again_and_not_for_ever(
    sqlstate: str, tries: int
) -> None:
    refuse: Any = refusing(sqlstate)
    with pytest.raises(OperationalError):
        await in_database(refuse)
    assert len(refuse.tries) == tries


async def test_a_transaction_that_the_server_ended_for_its_time_is_a_database_that_cannot_be_used() -> None:
    """The case of a process that was frozen within a transaction.

    Psycopg classes the error as internal.
    """

    def stand_still() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            select.select(
                [connection.connection.fileno()], [], [], 10
            )  # until the server's message about its end arrives
            cursor.execute("SELECT 1")

    with pytest.raises(OperationalError, match="idle-in-transaction"):
        await in_database(stand_still)
    assert await in_database(backend) > 0, "the thread reconnects"
