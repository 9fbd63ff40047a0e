"""Dead workers: a free lock is a proof only for a process whose own connection has lasted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.utils import timezone

from runs.models import Worker
from runs.process import dead_workers as deaths
from runs.process import leases
from runs.process.dead_workers import FreeLocks, dead_workers
from threads.checkpoints.postgres.storage import connection_string
from threads.db.database import in_database, threads
from threads.db.ids import new_id

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary database may have started a moment ago."""
    monkeypatch.setattr(leases, "SETTLED", 0.0)
    monkeypatch.setattr(deaths, "CONFIRM", 0.0)


@pytest.fixture(autouse=True)
def connections() -> Iterator[None]:
    """Ends the connections of the database threads with the test."""
    yield
    threads.close()


@pytest.fixture
def lock() -> Iterator[Callable[[UUID], None]]:
    """Hold a worker's lock, as its process does."""
    with psycopg.connect(connection_string(), autocommit=True) as db:
        yield (
            lambda worker_id: db.execute("SELECT pg_advisory_lock(%s)", [leases.lock_key(worker_id)]) and None
        )


def worker(*, expires: float = 60.0) -> UUID:
    now = timezone.now()
    row: Any = Worker.objects.create(
        id=new_id(), host="h", pid=1, version="1", concurrency=1, started_at=now, heartbeat_at=now,
        lease_expires_at=now + timedelta(seconds=expires),
    )  # fmt: skip
    return UUID(str(row.id))


def test_a_free_lock_is_a_death_to_one_whose_own_lock_is_held(lock: Callable[[UUID], None]) -> None:
    own, alive, gone = worker(), worker(), worker()
    lock(own)
    lock(alive)
    assert dead_workers(sole=False, own=own) == [gone]


def test_a_worker_whose_own_lock_is_free_believes_in_no_free_lock_but_in_leases(
    lock: Callable[[UUID], None],
) -> None:
    own, expired = worker(), worker(expires=-1)
    worker()
    lock(expired)
    assert dead_workers(sole=False, own=own) == [expired]


def test_a_worker_whose_connection_was_ended_a_moment_ago_believes_in_no_free_lock(
    lock: Callable[[UUID], None],
) -> None:
    own, expired = worker(), worker(expires=-1)
    worker()
    lock(own)
    assert dead_workers(sole=False, own=own, steady=lambda: False) == [expired]


def test_a_lock_that_was_free_for_long_is_a_death_whatever_happened_to_connections_meanwhile(
    lock: Callable[[UUID], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, gone, back = worker(), worker(), worker()
    lock(own)
    seen = FreeLocks()

    def found() -> list[UUID]:
        return dead_workers(sole=False, own=own, steady=lambda: False, seen=seen)

    assert found() == []
    assert seen.some
    Worker.objects.filter(id=back).update(heartbeat_at=timezone.now())
    monkeypatch.setattr(deaths, "GONE", 0.05)
    time.sleep(0.06)
    assert found() == [gone], "the other has renewed its lease since, and may be about to take its lock"
    time.sleep(0.06)
    assert found() == sorted([gone, back])
    lock(back)
    assert found() == [gone]


def test_what_was_not_looked_at_for_a_while_is_not_known_to_have_been_free() -> None:
    seen, one, beat = FreeLocks(), new_id(), timezone.now()
    seen.note({one: beat}, now=100.0)
    seen.note({one: beat}, now=100.0 + deaths.UNSEEN + 0.1)
    assert seen.gone(now=100.0 + deaths.UNSEEN + 0.2) == set()
    seen.note({one: beat}, now=100.0 + 2 * deaths.UNSEEN)
    assert seen.gone(now=100.1 + deaths.UNSEEN + deaths.GONE) == {one}
    seen.note({}, now=100.2 + 2 * deaths.UNSEEN)
    assert not seen.some


async def test_a_lease_is_not_steady_for_a_while_after_its_connection_was_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "SETTLED", 3600.0)
    lease = leases.Lease()
    await lease.begin(concurrency=1)
    assert lease.steady()
    with psycopg.connect(connection_string(), autocommit=True) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid() "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    await lease.broken.wait()
    assert not lease.steady()
    with pytest.raises(psycopg.OperationalError):
        await lease.renew()
    assert await lease.renew(), "it has reconnected"
    assert not lease.steady(), (
        "what ended this connection may have ended others that have not reconnected yet"
    )
    monkeypatch.setattr(leases, "SETTLED", 0.0)
    assert lease.steady()
    await lease.end()


async def test_a_connection_that_the_network_lost_does_not_keep_the_lock_from_the_next_one(
    run_settings: Any,
) -> None:
    run_settings(HEARTBEAT=5.0)
    lease = leases.Lease()
    await lease.begin(concurrency=1)
    lease._ignore_end()
    lost, lease._db = lease._db, None  # The server still has its session.
    assert lost is not None
    async with asyncio.timeout(4):
        assert await lease.renew()
    assert _holders(lease.worker_id) == [lease._backend]
    assert lease._backend != lost.info.backend_pid
    await lease.end()
    await lost.close()


async def test_a_connection_that_cannot_have_the_lock_is_not_kept(
    run_settings: Any, lock: Callable[[UUID], None]
) -> None:
    """If it renewed the lease, the worker would be alive by its lease and dead by its lock."""
    run_settings(HEARTBEAT=0.3)
    lease = leases.Lease()
    await in_database(leases.register, lease.worker_id, 1)
    lock(lease.worker_id)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await lease.renew()
        assert lease._db is None
    await lease.end()


def _holders(worker_id: UUID) -> list[int]:
    with psycopg.connect(connection_string(), autocommit=True) as db:
        return [
            pid
            for pid, key in db.execute(
                "SELECT pid, (classid::bigint << 32) | objid::bigint FROM pg_locks "
                "WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            )
            if key == leases.lock_key(worker_id)
        ]
