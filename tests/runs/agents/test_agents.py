"""Runs that a site's own code starts, follows, answers and cancels as one of its users."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import connection, connections, transaction

from runs import agents
from runs.exceptions import (
    CreationDeleted,
    InvalidRequest,
    KeyReused,
    LimitReached,
    NotFound,
    NothingToCancel,
    ThreadLocked,
)
from runs.identity.auth_file import configured
from runs.models import Run
from runs.requests import limits
from tests.runs.identity import auth_sample
from tests.support.driving import Driver
from threads.db.database import in_database
from threads.models import Thread

T = TypeVar("T")
LOG: dict[str, Any] = {"log": []}
STEPS = [f"s{number}" for number in range(10)]


class Undone(Exception):
    pass


async def in_view(function: Callable[[], T]) -> T:
    """Call like a synchronous view, in a thread with a connection of its own."""

    def call() -> T:
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


@pytest.fixture
async def ada(driver: Driver) -> Any:
    return await in_database(get_user_model().objects.get, pk=driver.principal.user_id)


async def test_a_run_exists_exactly_if_the_transaction_commits(driver: Driver, ada: Any) -> None:
    def view(*, undone: bool, savepoint: bool = False) -> UUID:
        with transaction.atomic():
            try:
                with transaction.atomic():
                    run = agents.start("steps", LOG, user=ada)
                    assert Run.objects.get(id=run.id).status == "pending"
                    if undone and savepoint:
                        raise Undone
            except Undone:
                assert not Run.objects.filter(id=run.id).exists()
            time.sleep(0.3)
            if not undone:
                # No worker executes it before the commit.
                assert Run.objects.get(id=run.id).status == "pending"
            if undone and not savepoint:
                raise Undone
        return run.id

    committed = await in_view(lambda: view(undone=False))
    with pytest.raises(Undone):
        await in_view(lambda: view(undone=True))
    await in_view(lambda: view(undone=True, savepoint=True))
    assert await in_database(lambda: list(Run.objects.values_list("id", flat=True))) == [committed]
    assert await in_database(Thread.objects.count) == 1
    result = await agents.await_result(committed, user=ada, timeout=20)
    assert (result.status, result.values["log"], result.error) == ("success", STEPS, None)


async def test_a_run_is_followed_by_its_user_alone(driver: Driver, ada: Any) -> None:
    def view() -> tuple[Any, list[Any], list[Any]]:
        run = agents.start("steps", LOG, user=ada, stream_mode=["updates", "values"])
        parts = list(agents.stream(run.id, user=ada))
        rest = list(agents.stream(run.id, user=ada, modes=["updates"], after=parts[-2].id))
        return agents.wait(run.id, user=ada, timeout=20), parts, rest

    result, parts, rest = await in_view(view)
    assert result.status == "success"
    assert [part.event for part in parts[:2]] == ["metadata", "values"]
    assert [name for part in parts if part.event == "updates" for name in part.data] == STEPS
    assert {part.event for part in rest} <= {"updates"}
    again = [part async for part in agents.astream(result.run_id, user=ada)]
    assert again == parts
    other = await in_database(get_user_model().objects.create_user, "bob")
    for call in (
        lambda: agents.wait(result.run_id, user=other),
        lambda: list(agents.stream(result.run_id, user=other)),
        lambda: agents.state(result.thread_id, user=other),
        lambda: agents.start("steps", LOG, user=other, thread_id=result.thread_id),
        lambda: agents.cancel(result.run_id, user=other),
        lambda: agents.answer(result.thread_id, 1, user=other),
    ):
        with pytest.raises(NotFound):
            await in_view(call)


async def test_a_question_is_answered(driver: Driver, ada: Any) -> None:
    thread = await agents.acreate_thread(user=ada, metadata={"color": "blue"})
    with pytest.raises(NotFound):
        await agents.aanswer(thread, "yes", user=ada)
    run = await agents.astart("questions", LOG, user=ada, thread_id=thread)
    asked = await agents.await_result(run.id, user=ada, timeout=20)
    assert (asked.status, len(asked.interrupts)) == ("success", 1)
    state = await agents.astate(thread, user=ada)
    assert (state.status, state.interrupts) == ("interrupted", asked.interrupts)
    assert state.metadata["color"] == "blue"
    with pytest.raises(NotFound):
        await agents.aanswer(thread, "yes", user=ada, interrupt_id="0" * 32)
    [question] = asked.interrupts
    answered = await in_view(lambda: agents.answer(thread, "yes", user=ada, interrupt_id=question["id"]))
    after = await agents.await_result(answered.id, user=ada, timeout=20)
    assert after.status == "success"
    assert question["id"] not in [each["id"] for each in after.interrupts]


async def test_a_run_is_cancelled(driver: Driver, ada: Any) -> None:
    run = await agents.astart("sleeping", {**LOG, "delay": 30}, user=ada)
    await driver.until(await in_database(Run.objects.get, id=run.id), "running")
    await in_view(lambda: agents.cancel(run.id, user=ada))
    assert (await agents.await_result(run.id, user=ada, timeout=20)).status == "interrupted"
    with pytest.raises(NothingToCancel):
        await agents.acancel(run.id, user=ada)
    later = await agents.astart("steps", LOG, user=ada, after_seconds=60)
    await agents.acancel(later.id, user=ada)
    assert (await agents.await_result(later.id, user=ada, timeout=20)).status == "interrupted"


async def test_a_key_starts_a_run_once(driver: Driver, ada: Any) -> None:
    def start(input: Any = LOG) -> UUID:
        return agents.start("steps", input, user=ada, idempotency_key="order 7").id

    first = await in_view(start)
    assert await in_view(start) == first
    assert (await agents.astart("steps", LOG, user=ada, idempotency_key="order 7")).id == first
    with pytest.raises(KeyReused):
        await in_view(lambda: start({"log": ["another"]}))
    await agents.await_result(first, user=ada, timeout=20)
    await in_database(Run.objects.all().delete)
    with pytest.raises(CreationDeleted):
        await in_view(start)


@pytest.mark.parametrize("named", [True, False])
async def test_a_key_answers_a_question_once(driver: Driver, ada: Any, named: bool) -> None:
    run = await agents.astart("questions", LOG, user=ada)
    asked = await agents.await_result(run.id, user=ada, timeout=20)
    options: dict[str, Any] = {"user": ada, "idempotency_key": "mail 7"}
    if named:
        options["interrupt_id"] = asked.interrupts[0]["id"]

    def answer(value: str = "yes") -> UUID:
        return agents.answer(run.thread_id, value, **options).id

    # Equal calls at once, of which only one finds the question.
    first, second, third = await asyncio.gather(
        agents.aanswer(run.thread_id, "yes", **options), in_view(answer), in_view(answer)
    )
    assert first.id == second == third
    await agents.await_result(second, user=ada, timeout=20)
    assert await in_view(answer) == second
    assert (await agents.aanswer(run.thread_id, "yes", **options)).id == second
    with pytest.raises(KeyReused):
        await in_view(lambda: answer("no"))
    await in_database(Run.objects.filter(id=second).delete)
    with pytest.raises(CreationDeleted):
        await in_view(answer)


async def test_a_key_creates_a_thread_once(driver: Driver, ada: Any) -> None:
    def create(**metadata: Any) -> UUID:
        return agents.create_thread(user=ada, metadata=metadata, idempotency_key="order 8")

    def rolled_back() -> None:
        with transaction.atomic():
            create(order=8)
            raise Undone

    with pytest.raises(Undone):
        await in_view(rolled_back)
    first = await in_view(lambda: create(order=8))
    again = await agents.acreate_thread(user=ada, metadata={"order": 8}, idempotency_key="order 8")
    assert first == again
    assert await in_database(Thread.objects.count) == 1
    with pytest.raises(KeyReused):
        await in_view(lambda: create(order=9))
    await in_database(Thread.objects.all().delete)
    with pytest.raises(CreationDeleted):
        await in_view(lambda: create(order=8))


async def test_options_that_do_not_exist_are_refused(driver: Driver, ada: Any) -> None:
    thread = await agents.acreate_thread(user=ada)
    mistyped: Any = {"metadta": {"order": 7}}
    with pytest.raises(InvalidRequest, match="There is no option metadta"):
        await agents.astart("steps", LOG, user=ada, thread_id=thread, **mistyped)
    with pytest.raises(InvalidRequest, match="There is no option metadta"):
        await in_view(lambda: agents.start("steps", LOG, user=ada, **mistyped))


async def test_limits_and_bad_input_are_refused_as_over_http(
    driver: Driver, ada: Any, run_settings: Any
) -> None:
    for bad in (
        {"multitask_strategy": "never"},
        {"webhook": "http://127.0.0.1/"},
        {"command": {"resume": 1}},
        {"config": {"recursion_limit": "x"}},
    ):
        with pytest.raises(InvalidRequest):
            await in_view(lambda bad=bad: agents.start("steps", LOG, user=ada, **bad))
    with pytest.raises(InvalidRequest):
        await in_view(lambda: agents.start("unknown", LOG, user=ada))
    with pytest.raises(InvalidRequest, match="outside of a transaction"):
        await in_view(transaction.atomic(lambda: agents.wait(uuid4(), user=ada)))
    limits._allowances.clear()
    limits._shares.clear()
    run_settings(USER_RUNS_PER_MINUTE=1)
    await in_view(lambda: agents.start("steps", LOG, user=ada))
    with pytest.raises(LimitReached):
        await in_view(lambda: agents.start("steps", LOG, user=ada))
    ada.is_active = False
    with pytest.raises(PermissionDenied):
        await in_view(lambda: agents.start("steps", LOG, user=ada))


@pytest.mark.postgresql
async def test_the_wait_for_a_locked_thread_is_bounded(driver: Driver, ada: Any) -> None:
    thread = await agents.acreate_thread(user=ada)
    locked, done = threading.Event(), threading.Event()

    def other() -> None:
        with transaction.atomic():
            Thread.objects.select_for_update().get(id=thread)
            locked.set()
            done.wait(20)

    def limit() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return cursor.fetchone()

    def view() -> float:
        locked.wait(20)
        with transaction.atomic():
            own = limit()
            began = time.monotonic()
            with pytest.raises(ThreadLocked):
                agents.start("steps", LOG, user=ada, thread_id=thread, lock_timeout=0.2)
            took = time.monotonic() - began
            # The caller's transaction goes on, with its own limit.
            assert limit() == own
            free = agents.start("steps", LOG, user=ada, lock_timeout=0.2)
            assert limit() == own
        done.set()
        assert agents.wait(free.id, user=ada, timeout=20).status == "success"
        return took

    _, took = await asyncio.gather(in_view(other), in_view(view))
    assert 0.1 < took < 3


@pytest.mark.postgresql
async def test_the_wait_is_bounded_in_a_process_that_serves(driver: Driver, ada: Any) -> None:
    question = await agents.astart("questions", LOG, user=ada)
    await agents.await_result(question.id, user=ada, timeout=20)
    thread = question.thread_id
    locked, done = threading.Event(), threading.Event()

    def other() -> None:
        with transaction.atomic():
            Thread.objects.select_for_update().get(id=thread)
            locked.set()
            done.wait(20)

    holding = asyncio.create_task(in_view(other))
    try:
        await asyncio.to_thread(locked.wait, 20)
        for call in (
            agents.astart("steps", LOG, user=ada, thread_id=thread, lock_timeout=0.2),
            agents.aanswer(thread, "yes", user=ada, lock_timeout=0.2),
        ):
            with pytest.raises(ThreadLocked):
                await asyncio.wait_for(call, 4)
    finally:
        done.set()
        await holding
    run = await agents.aanswer(thread, "yes", user=ada, lock_timeout=0.2)
    assert (await agents.await_result(run.id, user=ada, timeout=20)).status == "success"


async def test_the_auth_file_decides(driver: Driver, ada: Any, run_settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"graphs": {}, "auth": {"path": "tests.runs.identity.auth_sample:auth"}}))
    configured._load.cache_clear()
    run_settings(LANGGRAPH_JSON=str(file))
    auth_sample.asked.clear()
    with pytest.raises(PermissionDenied, match="No red threads"):
        await in_view(lambda: agents.create_thread(user=ada, metadata={"color": "red"}))
    thread = await in_view(lambda: agents.create_thread(user=ada))
    assert (await agents.astate(thread, user=ada)).metadata["owner"] == str(ada.pk)
    run = await in_view(lambda: agents.start("steps", LOG, user=ada, thread_id=thread))
    assert ("threads", "create_run", str(ada.pk)) in [each[:3] for each in auth_sample.asked]
    assert (await agents.await_result(run.id, user=ada, timeout=20)).status == "success"
    await in_database(Thread.objects.filter(id=thread).update, metadata={"owner": "someone else"})
    for call in (
        lambda: agents.state(thread, user=ada),
        lambda: agents.start("steps", LOG, user=ada, thread_id=thread),
    ):
        with pytest.raises(NotFound):
            await in_view(call)
    configured._load.cache_clear()
