"""The lock of the one process that executes runs on a SQLite database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from runs.exceptions import StartupError
from runs.models import Worker
from runs.process import executor_lock
from runs.process.executor_lock import executing_alone, sole_executor
from threads.db.database import in_database, threads

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setattr(executor_lock, "lock_path", lambda: tmp_path / "db.lock")
    monkeypatch.setattr(executor_lock, "TRIES", 2)
    yield tmp_path / "db.lock"
    threads.close()


def worker(**fields: Any) -> Worker:
    now = timezone.now()
    return Worker.objects.create(
        host="h", pid=1, version="1", concurrency=1, started_at=now, heartbeat_at=now,
        lease_expires_at=now + timedelta(minutes=1), **fields,
    )  # fmt: skip


def test_a_process_that_gets_the_lock_knows_that_earlier_workers_are_dead() -> None:
    with sole_executor() as alone:
        assert alone
        with sole_executor() as another:
            assert not another
    worker()
    with sole_executor() as alone:
        assert alone


def test_the_lock_of_a_new_file_proves_nothing_while_a_lease_lasts(path: Path) -> None:
    with sole_executor() as alone:
        assert alone
        living = worker()
        path.unlink()
        for _ in range(2):
            with sole_executor() as another:
                assert not another
        living.lease_expires_at = timezone.now() - timedelta(seconds=1)
        living.save()
        with sole_executor() as another:
            assert another


def test_a_new_database_and_one_whose_workers_have_stopped_need_no_earlier_file() -> None:
    worker(stopped_at=timezone.now())
    with sole_executor() as alone:
        assert alone


def test_the_lock_of_a_file_that_is_replaced_meanwhile_is_not_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch()
    flock = executor_lock.fcntl.flock

    def replaced(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if operation != executor_lock.fcntl.LOCK_UN:
            path.unlink()
            path.touch()

    monkeypatch.setattr(executor_lock.fcntl, "flock", replaced)
    with sole_executor() as alone:
        assert not alone


async def test_a_second_process_says_that_the_file_was_deleted() -> None:
    await in_database(worker)
    with pytest.raises(StartupError, match=r"db\.lock was deleted.*may be executing") as refused:
        async with executing_alone():
            pass
    assert refused.value.exit_code == 3
