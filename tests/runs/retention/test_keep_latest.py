"""Threads whose history is deleted: their current state is complete, and they continue from it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypedDict
from uuid import UUID

import pytest
from django.db import connection
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from runs.conf import settings
from runs.models import Run
from runs.retention import policy
from runs.retention.policy import Policy, prune, steps
from tests.support.driving import Driver
from tests.support.retention import (
    blobs_match_versions,
    expire,
    later,
    places,
    pruning,
    quiet,
    traces,
    values,
)
from threads.db import clock
from threads.db.database import in_database

__all__ = ["quiet"]


# --- a graph whose values are rebuilt from their changes


def gather(state: list[str], writes: list[list[str]]) -> list[str]:
    return [*state, *(each for write in writes for each in write)]


class Notes(TypedDict, total=False):
    notes: Annotated[list[str], DeltaChannel(gather, snapshot_frequency=4)]
    never: Annotated[list[str], DeltaChannel(gather)]
    ask: bool


async def note(state: Notes) -> dict[str, Any]:
    answer = interrupt("what?") if state.get("ask") else "nothing"
    return {"notes": [f"{len(state.get('notes', []))}:{answer}"]}


noting = (
    StateGraph(Notes).add_node("note", note).add_edge(START, "note").add_edge("note", END)  # type: ignore[arg-type]
).compile()


@pytest.fixture
def noting_graph(quiet: Any) -> Any:
    quiet(GRAPHS={**settings.GRAPHS, "noting": f"{__name__}:noting"})
    return quiet


# --- keep_latest


async def trim(driver: Driver, run: Run) -> Any:
    await in_database(expire, run.thread_id, strategy="keep_latest")
    return await policy.sweep(driver.runtime.storage)


async def test_of_a_kept_thread_only_the_present_state_is_left(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("steps"))
    run = await driver.finish(await driver.start("steps", thread=run.thread_id))
    before, old, events = (
        await values(driver, run),
        await in_database(places, run.thread_id),
        await driver.events(run),
    )
    report = await trim(driver, run)
    assert (report.threads_trimmed, report.threads_deleted) == (1, 0)
    assert await in_database(places, run.thread_id) == [old[-1]]
    assert await values(driver, run) == before
    config: Any = {"configurable": {"thread_id": str(run.thread_id)}}
    [only] = [each async for each in driver.runtime.storage.reader().alist(config)]
    assert only.parent_config is None
    if connection.vendor == "postgresql":
        assert await in_database(blobs_match_versions, run.thread_id)
    left = await in_database(traces, run.thread_id)
    assert left["runs"] == 2
    assert await driver.events(run) == events
    thread = await driver.thread(run)
    assert (thread.expires_at, thread.values, thread.ttl_minutes) == (None, run.thread.values, 1.0)
    assert (await policy.sweep(driver.runtime.storage)).threads_trimmed == 0


async def test_a_kept_thread_goes_on_and_expires_again(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("steps"))
    await trim(driver, run)
    more = await driver.finish(await driver.start("steps", thread=run.thread_id))
    assert more.status == "success"
    assert more.thread.values["log"] == [f"s{number}" for number in range(10)] * 2
    assert more.thread.expires_at == later(more.finished_at, 1)
    assert (await trim(driver, run)).threads_trimmed == 1
    assert len(await in_database(places, run.thread_id)) == 1


async def test_a_run_on_a_kept_thread_can_be_rolled_back(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("steps"))
    await trim(driver, run)
    before = await values(driver, run)
    second = await driver.start("steps", {"log": [], "delay": 0.05}, thread=run.thread_id, durability="sync")
    await driver.executing(second, "s3")
    third = await driver.start(
        "sleeping", thread=run.thread_id, multitask_strategy="rollback", after_seconds=1000.0
    )
    async with asyncio.timeout(20):
        await driver.runtime.hub.settled(second.id)
    assert not await in_database(Run.objects.filter(id=second.id).exists)
    assert await values(driver, run) == before
    assert (await driver.row(third)).status == "pending"


async def test_a_question_survives_and_so_do_the_answers_that_were_given(quiet: Any, driver: Driver) -> None:
    """A node's two interrupts, and one in a subgraph.

    Each is answered after the thread's history is deleted.
    """
    run = await driver.finish(await driver.start("questions"))
    for answer in ("one", "two", "three"):
        before = await values(driver, run)
        report = await trim(driver, run)
        assert report.threads_trimmed == 1
        assert await values(driver, run) == before
        run = await driver.finish(await driver.resume("questions", answer, thread=run.thread_id))
    assert (run.status, run.thread.status) == ("success", "idle")
    log = run.thread.values["log"]
    assert log == ["p1", "p2", "first=one", "second=two", "before", "third=three", "last"]


async def test_finished_calls_of_subgraphs_go_and_unfinished_ones_stay(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("nested", durability="sync"))
    assert any(ns for ns, _ in await in_database(places, run.thread_id))
    await trim(driver, run)
    assert [ns for ns, _ in await in_database(places, run.thread_id)] == [""]
    run = await driver.finish(await driver.start("questions"))
    for answer in ("one", "two"):
        run = await driver.finish(await driver.resume("questions", answer, thread=run.thread_id))
    await trim(driver, run)
    root, call = [ns for ns, _ in await in_database(places, run.thread_id)]
    assert root == ""
    assert call.startswith("call:")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
async def test_values_that_are_rebuilt_from_their_changes_stay_whole(
    noting_graph: Any, driver: Driver, count: int
) -> None:
    run = await driver.finish(await driver.start("noting", {"notes": ["a"]}))
    for number in range(1, count):
        run = await driver.finish(
            await driver.start("noting", {"notes": [f"a{number}"]}, thread=run.thread_id)
        )
    before, old = await values(driver, run, noting), await in_database(places, run.thread_id)
    assert len(before["notes"]) == 2 * count
    await trim(driver, run)
    left = await in_database(places, run.thread_id)
    assert await values(driver, run, noting) == before
    assert left == old[-len(left) :]
    # A value is saved at least with every fourth change, so no more steps than that are needed.
    assert len(left) <= 9
    more = await driver.finish(await driver.start("noting", {"notes": ["z"]}, thread=run.thread_id))
    assert (await values(driver, more, noting))["notes"] == [
        *before["notes"],
        "z",
        f"{len(before['notes']) + 1}:nothing",
    ]


async def test_a_question_on_rebuilt_values_survives(noting_graph: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("noting", {"notes": ["a"]}))
    run = await driver.finish(await driver.start("noting", {"ask": True}, thread=run.thread_id))
    assert run.thread.status == "interrupted"
    await trim(driver, run)
    run = await driver.finish(await driver.resume("noting", "well", thread=run.thread_id))
    assert run.thread.values["notes"] == ["a", "1:nothing", "2:well"]


async def test_a_pruning_that_dies_anywhere_leaves_the_state_whole(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("nested", durability="sync"))
    run = await driver.finish(await driver.start("nested", thread=run.thread_id, durability="sync"))
    before = await values(driver, run)
    await in_database(expire, run.thread_id, strategy="keep_latest")

    def one_step() -> bool:
        removal = steps(Policy(rows=1), pruning())
        step = next(removal)
        removal.close()
        return step == ("threads_trimmed", 1)

    count = 1
    while not await in_database(one_step):
        count += 1
        assert await values(driver, run) == before
    assert count > 10
    assert len(await in_database(places, run.thread_id)) == 1
    assert await values(driver, run) == before


async def test_a_thread_that_cannot_be_pruned_stops_no_other_and_is_put_off(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = [await driver.finish(await driver.start("steps")) for _ in range(2)]
    await in_database(expire, bad.thread_id, good.thread_id, strategy="keep_latest")
    broken = pruning()
    real = broken.keep_latest

    def keep_latest(thread_id: UUID, *, limit: int) -> int:
        if thread_id == bad.thread_id:
            raise ValueError("illegible")
        return real(thread_id, limit=limit)

    broken.keep_latest = keep_latest  # type: ignore[method-assign]
    report = await in_database(prune, Policy(), broken)
    assert (report.threads_failed, report.threads_trimmed) == (1, 1)
    assert str(bad.thread_id) in caplog.text
    thread = await driver.thread(bad)
    assert thread.expires_at is not None
    assert thread.expires_at > clock.now()
    assert len(await in_database(places, bad.thread_id)) > 1
