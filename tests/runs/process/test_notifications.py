"""Wake-ups: within a process, and between two processes through PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from runs.process import notifications as module
from runs.process.notifications import notifications, notify_after_commit
from runs.process.wakeups import WORK, Wakeups, owner_of
from threads.db import database
from threads.db.database import in_database

RUN = uuid.uuid4()


async def test_a_bell_hears_what_happens_before_it_is_waited_for() -> None:
    wakeups = Wakeups()
    with wakeups.bell(RUN) as bell:
        assert not await bell.wait(0.01)
        wakeups.ring(RUN)
        assert await bell.wait(0)
        bell.clear()
        wakeups.ring(uuid.uuid4())
        assert not await bell.wait(0.01)
        wakeups.ring_all()
        assert await bell.wait(0)
    wakeups.ring(RUN)


async def test_what_is_told_about_a_run_reaches_its_owner_too() -> None:
    wakeups = Wakeups()
    told: list[Any] = []
    wakeups.announce = told.append
    with wakeups.bell(owner_of(RUN)) as owner, wakeups.bell(RUN) as reader:
        wakeups.ring(RUN)
        assert not owner._rung.is_set()
        reader.clear()
        wakeups.tell(RUN)
        assert await owner.wait(0)
        assert await reader.wait(0)
    assert told == [RUN]


pytest_postgresql = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@asynccontextmanager
async def two_processes() -> AsyncIterator[tuple[Wakeups, Wakeups]]:
    """The wake-ups of two processes that know of each other."""
    here, there = Wakeups(), Wakeups()
    async with notifications(here) as first, notifications(there) as second:
        assert first is not None
        assert second is not None
        async with asyncio.timeout(10):
            while not (first._others and second._others):
                await asyncio.sleep(0.01)
        yield here, there
    database.threads.close()


async def heard(teller: Wakeups, hearer: Wakeups) -> None:
    async with asyncio.timeout(10):
        with hearer.bell(WORK) as bell:
            while not bell._rung.is_set():
                teller.tell(WORK)
                await bell.wait(0.05)


async def end_listeners() -> int:
    def end() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
            return len(cursor.fetchall())

    return await in_database(end)


class TestBetweenProcesses:
    pytestmark = pytest_postgresql

    async def test_ids_arrive_in_batches_and_a_process_does_not_hear_itself(self) -> None:
        ids = [uuid.uuid4() for _ in range(450)]
        async with two_processes() as (here, there):
            mine: list[Any] = []
            with ExitStack() as stack:
                bells = [stack.enter_context(there.bell(each)) for each in ids]
                for each in ids:
                    stack.enter_context(here.calling(each, lambda: mine.append(1)))
                    here.announce(each)
                for bell in bells:
                    assert await bell.wait(5)
            assert mine == []

    async def test_a_process_alone_sends_nothing_but_that_it_is_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[set[Any]] = []
        real = module.notify
        monkeypatch.setattr(module, "notify", lambda keys, tag: (sent.append(set(keys)), real(keys, tag=tag)))
        alone = Wakeups()
        async with notifications(alone):
            async with asyncio.timeout(5):
                while not alone.connected or not sent:
                    await asyncio.sleep(0.01)
            for _ in range(10):
                alone.tell(RUN)
                await asyncio.sleep(0.01)
        database.threads.close()
        assert all(keys == {""} for keys in sent)

    async def test_a_broken_connection_lets_everybody_look_and_is_replaced(self) -> None:
        async with two_processes() as (here, there):
            with there.bell(RUN) as bell:
                assert await end_listeners() == 2
                assert await bell.wait(5)
            async with asyncio.timeout(10):
                while not (here.connected and there.connected):
                    await asyncio.sleep(0.01)
            await heard(here, there)

    async def test_code_without_a_runtime_tells_after_its_commit(self) -> None:
        async with two_processes() as (_, there):
            with there.bell(RUN) as bell:

                def change(*, fail: bool) -> None:
                    with transaction.atomic():
                        notify_after_commit([RUN])
                        if fail:
                            raise ValueError

                with pytest.raises(ValueError):
                    await in_database(change, fail=True)
                assert not await bell.wait(0.2)
                await in_database(change, fail=False)
                assert await bell.wait(5)

    async def test_a_word_of_another_version_is_passed_over(self) -> None:
        async with two_processes() as (here, there):
            with there.bell(RUN) as bell:
                bell.clear()
                here.announce("a word of the future")
                here.announce(RUN)
                assert await bell.wait(5)
            await heard(here, there)
            assert here.connected
            assert there.connected

    async def test_a_connection_that_brings_nothing_any_more_is_given_up(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(module, "HELLO", 0.05)
        monkeypatch.setattr(module, "CHANNEL", "elsewhere")
        wakeups = Wakeups()
        async with notifications(wakeups):
            async with asyncio.timeout(5):
                while not wakeups.connected:
                    await asyncio.sleep(0.01)
            monkeypatch.setattr(module, "CHANNEL", "runs")
            async with asyncio.timeout(5):
                while "no notification arrived" not in caplog.text:
                    await asyncio.sleep(0.01)
        database.threads.close()
