"""Who is dead: a free lock is a proof only to somebody whose own connection has held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.utils import timezone

from runs import deaths, leases
from runs.deaths import dead_workers
from runs.models import Worker
from threads.checkpoints.postgres import connection_string
from threads.ids import new_id

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The throw-away database may have started a moment ago."""
    monkeypatch.setattr(leases, "SETTLED", 0.0)
    monkeypatch.setattr(deaths, "CONFIRM", 0.0)


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
    assert await lease.renew(), "it has connected anew"
    assert not lease.steady(), "what ended this connection may have ended others that are not back yet"
    monkeypatch.setattr(leases, "SETTLED", 0.0)
    assert lease.steady()
    await lease.end()
