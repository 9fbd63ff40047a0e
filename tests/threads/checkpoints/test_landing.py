"""On SQLite a death between the commits of the two files leaves all of an edit, or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from langgraph.types import StateUpdate

from runs.conf import settings
from runs.states.copies import copy_thread
from runs.states.edits import patch_metadata, update_state
from runs.states.operator_edits import edit_as_operator
from runs.states.reads import readable
from tests.support.api import http, url
from tests.support.driving import Driver
from threads.checkpoints.opening import has_checkpoint, open_pruning
from threads.checkpoints.sqlite import landing, statements
from threads.db.database import in_database
from threads.models import Landing, StateEdit, Thread
from threads.state.read import read_history, read_state

__all__ = ["http", "url"]

pytestmark = pytest.mark.sqlite

Edit = Callable[[Driver, UUID], Awaitable[Any]]


class DeadError(BaseException):
    """The process has ended here."""


async def by_user(driver: Driver, thread_id: UUID) -> None:
    update = StateUpdate({"log": ["edited"]}, "s9")
    await update_state(thread_id, [[update]], principal=driver.principal, checkpoint=None)


async def by_operator(driver: Driver, thread_id: UUID) -> None:
    values = {"log": ["edited"]}
    await edit_as_operator(thread_id, values, as_node="s9", checkpoint={}, then=lambda place: place)


EDITS: dict[str, Edit] = {"user": by_user, "operator": by_operator}


async def log_of(thread_id: UUID) -> tuple[list[str], list[str]]:
    """The log in the thread's row, and in its checkpoints."""
    thread = await in_database(Thread.objects.get, id=thread_id)
    state = await read_state(thread, open_graph=readable)
    return thread.values["log"], state["values"]["log"]


async def edits() -> int:
    return await in_database(StateEdit.objects.count)


async def restart() -> None:
    """What a new process does: it knows only what is stored."""
    landing._waiting.clear()
    await in_database(landing.recover, Path(settings.CHECKPOINTS_FILE))


def dies_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(landing, "_expect", die)


def dies_after_the_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(statements, "transaction", die)


def dies_within_the_files_transaction(patch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def transaction(file: Path) -> Iterator[sqlite3.Connection]:
        with real(file) as db:
            yield db
            die()

    real = statements.transaction
    patch.setattr(statements, "transaction", transaction)


def dies_after_the_files_commit(patch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def transaction(file: Path) -> Iterator[sqlite3.Connection]:
        with real(file) as db:
            yield db
        die()

    real = statements.transaction
    patch.setattr(statements, "transaction", transaction)


def die(*args: Any, **kwargs: Any) -> Any:
    raise DeadError


LATER = [dies_after_the_commit, dies_within_the_files_transaction, dies_after_the_files_commit]


@pytest.fixture
async def thread_id(driver: Driver) -> UUID:
    run = await driver.finish(await driver.start("steps", {"log": ["given"]}))
    return run.thread_id


@pytest.mark.parametrize("who", EDITS)
@pytest.mark.parametrize("point", [dies_before_the_commit, *LATER])
async def test_a_death_leaves_all_of_an_edit_or_nothing(
    driver: Driver, thread_id: UUID, monkeypatch: pytest.MonkeyPatch, point: Any, who: str
) -> None:
    before, _ = await log_of(thread_id)
    with monkeypatch.context() as patch:
        point(patch)
        with pytest.raises(DeadError):
            await EDITS[who](driver, thread_id)
    await restart()
    made = 0 if point is dies_before_the_commit else 1
    expected = [*before, *["edited"] * made]
    assert await log_of(thread_id) == (expected, expected)
    assert (await edits(), await in_database(Landing.objects.count)) == (made, 0)
    await EDITS[who](driver, thread_id)
    assert await log_of(thread_id) == ([*expected, "edited"], [*expected, "edited"])


@pytest.mark.parametrize("point", LATER)
async def test_metadata_survive_a_death(
    driver: Driver, thread_id: UUID, monkeypatch: pytest.MonkeyPatch, point: Any
) -> None:
    with monkeypatch.context() as patch:
        point(patch)
        with pytest.raises(DeadError):
            await patch_metadata(thread_id, {"by": "hand"}, principal=driver.principal, checkpoint=None)
    await restart()
    thread = await in_database(Thread.objects.get, id=thread_id)
    assert (await read_state(thread, open_graph=readable))["metadata"]["by"] == "hand"


def full(*args: Any) -> Any:
    raise sqlite3.OperationalError("database or disk is full")


async def fail_to_move(driver: Driver, thread_id: UUID, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An edit while the file cannot be written; return the log that the thread has now."""
    with monkeypatch.context() as patch:
        patch.setattr(statements, "transaction", full)
        # It is committed, and the client must not repeat it.
        await by_user(driver, thread_id)
        thread = await in_database(Thread.objects.get, id=thread_id)
        with pytest.raises(sqlite3.OperationalError):
            await read_state(thread, open_graph=readable)
    log: list[str] = thread.values["log"]
    assert (log[-1], await in_database(Landing.objects.count)) == ("edited", 1)
    return log


async def test_what_is_not_in_the_file_yet_is_moved_before_it_is_read(
    driver: Driver, thread_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await fail_to_move(driver, thread_id, monkeypatch)
    assert await log_of(thread_id) == (log, log)
    assert await in_database(Landing.objects.count) == 0


async def test_a_run_begins_with_the_edit_that_was_not_in_the_file_yet(
    driver: Driver, thread_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await fail_to_move(driver, thread_id, monkeypatch)
    await driver.finish(await driver.start("steps", {"log": ["next"]}, thread=thread_id))
    row, state = await log_of(thread_id)
    assert row == state
    assert row[: len(log) + 1] == [*log, "next"]


async def test_everything_else_that_reads_the_file_moves_it_first(
    driver: Driver, thread_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await fail_to_move(driver, thread_id, monkeypatch)
    copy = await copy_thread(thread_id, principal=driver.principal)
    assert await log_of(copy.id) == (log, log)
    log = await fail_to_move(driver, thread_id, monkeypatch)
    thread = await in_database(Thread.objects.get, id=thread_id)
    newest = await anext(aiter(read_history(thread, open_graph=readable, limit=1)))
    assert newest["values"]["log"] == log
    await fail_to_move(driver, thread_id, monkeypatch)
    newest_edit = (
        StateEdit.objects.filter(thread=thread_id).order_by("-epoch").values_list("checkpoint_id", flat=True)
    )
    place = await in_database(newest_edit.first)
    assert place is not None
    assert await in_database(has_checkpoint, thread_id, place, file=settings.CHECKPOINTS_FILE)
    log = await fail_to_move(driver, thread_id, monkeypatch)
    pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
    while await in_database(pruning.keep_latest, thread_id, limit=100):
        pass
    assert await log_of(thread_id) == (log, log)


async def test_an_edit_of_a_deleted_thread_is_gone(
    driver: Driver, thread_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail_to_move(driver, thread_id, monkeypatch)
    pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
    assert await in_database(pruning.delete, [thread_id], limit=1000) > 0
    await restart()
    assert await in_database(pruning.count, [thread_id], limit=1) == 0


async def test_a_new_thread_with_a_state_is_whole_and_made_once(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {
        "metadata": {"graph_id": "steps"},
        "supersteps": [{"updates": [{"values": {"log": ["given"]}, "as_node": "s0"}]}],
    }
    headers = {"Idempotency-Key": "once"}
    with monkeypatch.context() as patch:
        patch.setattr(statements, "transaction", full)
        # It is committed; the death comes before the answer and before the file has its state.
        await http.post("/threads", json=body, headers=headers)
    await restart()
    again = (await http.post("/threads", json=body, headers=headers)).json()["thread_id"]
    assert await in_database(Thread.objects.count) == 1
    state = (await http.get(f"/threads/{again}/state")).json()
    assert (
        state["values"]["log"] == (await http.get(f"/threads/{again}")).json()["values"]["log"] == ["given"]
    )
    assert await edits() == 1
