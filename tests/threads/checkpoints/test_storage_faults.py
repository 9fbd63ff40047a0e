"""Faults in PostgreSQL: transient ones are retried, and wrong rows of one run affect no other."""

from __future__ import annotations

import asyncio
import random
import string
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.utils import timezone
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.conf import settings
from tests.threads.checkpoints.test_writer import config, make_thread, put
from threads.checkpoints import CheckpointStorage, StorageFailed, ThreadWriter, open_checkpoints
from threads.checkpoints.commits import Unavailable
from threads.checkpoints.postgres.storage import connection_string
from threads.checkpoints.rows import Batch
from threads.db.database import in_database, threads
from threads.models import Thread

pytestmark = pytest.mark.postgresql

#: Raises the error whose code the table `faults` holds, for a checkpoint whose step is in it, or for all.
FAULTS = """
CREATE TABLE faults (code text, step int);
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
    SELECT code INTO found FROM faults WHERE step IS NULL OR step = (NEW.metadata ->> 'step')::int;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'injected %', found USING ERRCODE = found;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fault BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION fault();
"""
NO_FAULTS = "DROP TRIGGER fault ON checkpoints; DROP FUNCTION fault; DROP TABLE faults"


@pytest.fixture
def db(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """A separate connection of the test."""
    with psycopg.connect(connection_string(), autocommit=True) as opened:
        yield opened


@pytest.fixture
def faults(db: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    db.execute(FAULTS)
    yield db
    db.execute(NO_FAULTS)


@pytest.fixture
async def storage(transactional_db: None, run_settings: Any) -> AsyncIterator[CheckpointStorage]:
    serde = JsonPlusSerializer(allowed_msgpack_modules=())
    async with open_checkpoints(file=settings.CHECKPOINTS_FILE, serde=serde, retry_seconds=10) as opened:
        yield opened
    threads.close()


class Commits:
    """Counts the transactions of a storage, and how they ended."""

    def __init__(self, storage: CheckpointStorage) -> None:
        self.errors: list[Exception | None] = []
        self._commit = storage.commits._commit
        self._changed = asyncio.Event()
        storage.commits._commit = self

    async def __call__(self, batch: Batch) -> set[Any]:
        error: Exception | None = None
        try:
            return await self._commit(batch)
        except Exception as raised:
            error = raised
            raise
        finally:
            self.errors.append(error)
            self._changed.set()

    async def until(self, condition: Callable[[list[Exception | None]], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self.errors):
                self._changed.clear()
                await self._changed.wait()


async def writers(storage: CheckpointStorage, count: int) -> list[tuple[ThreadWriter, Thread]]:
    owners = [await in_database(make_thread) for _ in range(count)]
    return [(ThreadWriter(storage, thread_id=thread.id, epoch=2), thread) for thread in owners]


async def landed(storage: CheckpointStorage, thread: Thread) -> bool:
    return await storage.reader().aget_tuple(config(thread)) is not None


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("25006", id="read-only"),
        pytest.param("53100", id="disk full"),
        pytest.param("53200", id="out of memory"),
        pytest.param("57014", id="statement timeout"),
        pytest.param("40P01", id="deadlock"),
        pytest.param("40001", id="serialization failure"),
        pytest.param("57P01", id="shutdown"),
        pytest.param("57P03", id="starting up"),
    ],
)
async def test_a_fault_that_passes_is_waited_for(
    storage: CheckpointStorage, faults: psycopg.Connection[Any], code: str
) -> None:
    faults.execute("INSERT INTO faults VALUES (%s, NULL)", [code])
    commits = Commits(storage)
    [(writer, thread), (other, others)] = await writers(storage, 2)
    writes = [asyncio.create_task(put(writer, thread, 1)), asyncio.create_task(put(other, others, 1))]
    await commits.until(lambda errors: len(errors) >= 5)
    assert all(isinstance(error, Unavailable) for error in commits.errors)
    assert not any(write.done() for write in writes)
    faults.execute("DELETE FROM faults")
    await asyncio.gather(*writes)
    assert await landed(storage, thread)
    assert await landed(storage, others)


async def test_a_write_leaves_a_server_that_became_read_only(
    storage: CheckpointStorage, db: psycopg.Connection[Any]
) -> None:
    """After a failover the open connections still reach the server that was the primary."""
    [(writer, thread)] = await writers(storage, 1)
    async with storage._pool.connection() as one, storage._pool.connection() as two:
        old = {one.info.backend_pid, two.info.backend_pid}
        for each in (one, two):
            await each.execute("SET default_transaction_read_only = on")
    await put(writer, thread, 1)
    async with storage._pool.connection() as one, storage._pool.connection() as two:
        assert not old & {one.info.backend_pid, two.info.backend_pid}
    assert await landed(storage, thread)


async def test_connections_that_are_cut_off_during_a_write_are_replaced(
    storage: CheckpointStorage, db: psycopg.Connection[Any]
) -> None:
    commits = Commits(storage)
    [(writer, thread)] = await writers(storage, 1)
    with db.transaction():
        db.execute("SELECT 1 FROM threads_thread WHERE id = %s FOR UPDATE", [thread.id])
        write = asyncio.create_task(put(writer, thread, 1))
        await waiting_for_a_lock(db)
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await commits.until(lambda errors: len(errors) >= 1)
    await write
    assert isinstance(commits.errors[0], Unavailable)
    assert await landed(storage, thread)


async def waiting_for_a_lock(db: psycopg.Connection[Any]) -> None:
    """Wait until a connection waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not db.execute(query).fetchone()[0]:
            await asyncio.sleep(0.01)


#: Channel names that a graph may use but PostgreSQL rejects: in jsonb, and in an index.
BAD_NAMES = {
    "NUL in JSON": "a\x00b",
    "half a character": "\ud800",
    "too long for an index": "".join(random.Random(7).choices(string.printable, k=9000)).replace("\x00", ""),
}


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a_bad_row_among_the_rows_of_many_runs_fails_its_own_run_alone(
    storage: CheckpointStorage, name: str
) -> None:
    commits = Commits(storage)
    failures: list[Exception] = []
    pairs = await writers(storage, 15)
    pairs[7][0]._on_failure = failures.append
    began = timezone.now()
    results = await asyncio.gather(
        *(
            put(writer, thread, 1, **{BAD_NAMES[name] if index == 7 else "good": [index]})
            for index, (writer, thread) in enumerate(pairs)
        ),
        return_exceptions=True,
    )
    assert isinstance(results[7], StorageFailed)
    assert failures == [results[7]]
    assert not any(isinstance(error, Unavailable) for error in commits.errors)
    assert (timezone.now() - began).total_seconds() < 5, (
        "The other runs waited for a row that cannot be saved."
    )
    assert [await landed(storage, thread) for _, thread in pairs] == [index != 7 for index in range(15)]
    assert [isinstance(result, str) for result in results] == [index != 7 for index in range(15)]


async def test_a_data_error_in_the_middle_of_the_statement_fails_its_own_run_alone(
    storage: CheckpointStorage, faults: psycopg.Connection[Any]
) -> None:
    faults.execute("INSERT INTO faults VALUES ('22003', 7)")
    pairs = await writers(storage, 15)
    results = await asyncio.gather(
        *(put(writer, thread, number) for number, (writer, thread) in enumerate(pairs)),
        return_exceptions=True,
    )
    assert isinstance(results[7], StorageFailed)
    assert "injected 22003" in str(results[7])
    assert [await landed(storage, thread) for _, thread in pairs] == [index != 7 for index in range(15)]


async def test_a_statement_that_takes_too_long_for_one_run_does_not_fail_the_others(
    storage: CheckpointStorage, faults: psycopg.Connection[Any]
) -> None:
    storage.commits._retry_seconds = 1.0
    faults.execute("INSERT INTO faults VALUES ('57014', 3)")
    pairs = await writers(storage, 6)
    results = await asyncio.gather(
        *(put(writer, thread, number) for number, (writer, thread) in enumerate(pairs)),
        return_exceptions=True,
    )
    assert isinstance(results[3], StorageFailed)
    assert "unavailable" in str(results[3])
    assert [isinstance(result, str) for result in results] == [index != 3 for index in range(6)]


async def test_a_locked_thread_holds_up_its_own_run_alone(
    storage: CheckpointStorage, db: psycopg.Connection[Any]
) -> None:
    [(stuck, locked), (free, other)] = await writers(storage, 2)
    with db.transaction():
        db.execute("SELECT 1 FROM threads_thread WHERE id = %s FOR UPDATE", [locked.id])
        waits = asyncio.create_task(put(stuck, locked, 1))
        goes_on = asyncio.create_task(put(free, other, 1))
        await goes_on
        began = time.monotonic()
        for number in range(2, 12):
            await put(free, other, number)
        assert time.monotonic() - began < 1, "The other run was delayed."
        assert not waits.done()
    await waits
    assert await landed(storage, locked)


async def test_a_caller_is_answered_after_the_commit(
    storage: CheckpointStorage, db: psycopg.Connection[Any]
) -> None:
    commits = Commits(storage)
    [(writer, thread)] = await writers(storage, 1)
    query = "SELECT count(*) FROM checkpoints WHERE thread_id = %s"
    with db.transaction():
        db.execute("SELECT 1 FROM threads_thread WHERE id = %s FOR UPDATE", [thread.id])
        write = asyncio.create_task(put(writer, thread, 1))
        await waiting_for_a_lock(db)
        assert not write.done()
        assert not commits.errors
    await write
    assert commits.errors[-1] is None
    assert db.execute(query, [str(thread.id)]).fetchone() == (1,)
