"""A step that an operator runs again with another input, from the run's page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runs.models import Run, RunAction
from tests.runs.admin.test_run_page import act, elsewhere, part
from tests.runs.lifecycle.operators.test_operations import checkpoints
from tests.support.admin_site import sign_in, staff
from tests.support.driving import Driver
from tests.support.rows import make_run
from threads.db.database import in_database
from threads.models import StateEdit


async def tasks_of(client: Any, run: Run) -> dict[str, str]:
    """The tasks of a run's nodes, by their names."""
    spans = (await in_database(part, client, run, "spans"))["spans"]
    return {span["name"]: span["id"].partition(":")[2] for span in spans if span["id"].startswith("n")}


async def again(client: Any, run: Run, task: str, given: Any, **more: Any) -> Any:
    body = {"action": "rerun", "task": task, "input": given, **more}
    return await asyncio.to_thread(elsewhere, act, client, run, **body)


async def test_a_step_and_those_after_it_run_again_with_another_input(driver: Driver) -> None:
    run = await driver.start("steps", {"log": ["given"], "count": 1})
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    tasks = await tasks_of(client, run)
    response = await again(
        client, run, tasks["s7"], {"log": ["edited"], "count": 1}, name="s7", reason="a typo"
    )
    assert response.status_code == 200, response.content
    row = await driver.finish(Run(id=response.json()["run"]))
    # Not added to the log by its reducer, but in place of it.
    assert row.thread.values["log"] == ["edited", "s7", "s8", "s9"]
    assert row.thread.values["count"] == 1
    assert row.parent_id == run.id
    assert set(driver.executions(row)) == {"s7", "s8", "s9"}
    record = await in_database(RunAction.objects.get, run_id=run.id, kind="rerun")
    assert record.reason == "a typo"
    assert record.outcome == f"became run {row.id}, from s7 with other log"
    facts = await in_database(part, client, row, "facts")
    assert facts["by"]["kind"] == "admin"


async def test_messages_stay_messages(driver: Driver) -> None:
    run = await driver.start("talking", {"messages": [{"type": "human", "content": "hello", "id": "1"}]})
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    tasks = await tasks_of(client, run)
    given = {"messages": [{"type": "human", "content": "good-bye", "id": "1"}]}
    response = await again(client, run, tasks["talk"], given)
    assert response.status_code == 200, response.content
    row = await driver.finish(Run(id=response.json()["run"]))
    assert [each["type"] for each in row.thread.values["messages"]] == ["human", "ai"]
    assert row.thread.values["messages"][0]["content"] == "good-bye"


async def test_parallel_steps_run_again_together(driver: Driver) -> None:
    run = await driver.start("parallel", {"log": []})
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    tasks = await tasks_of(client, run)
    response = await again(client, run, tasks["b1"], {"log": ["x"]})
    row = await driver.finish(Run(id=response.json()["run"]))
    assert row.thread.values["log"] == ["x", "b1", "b2", "c"]


async def test_a_step_that_cannot_be_repeated_alone_says_why(driver: Driver) -> None:
    run = await driver.start("nested", {"log": []}, stream_subgraphs=True)
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    tasks = await tasks_of(client, run)
    for name, why in (("fan", "Another step sent this one its input"), ("x", "This step is in a subgraph")):
        response = await again(client, run, tasks[name], {"log": []})
        assert response.status_code == 400, name
        assert response.json()["detail"].startswith(why)
    unknown = await again(client, run, "no-task", {})
    assert unknown.status_code == 404
    wrong = await again(client, run, tasks["first"], {"nothing": 1})
    assert wrong.json()["detail"] == "The state has no value 'nothing' that can be edited."
    assert await in_database(Run.objects.filter(parent=run.id).count) == 0


async def test_an_edit_whose_run_is_refused_leaves_nothing(driver: Driver, run_settings: Any) -> None:
    run = await driver.start("steps", {"log": ["given"], "count": 1})
    before = await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    task = (await tasks_of(client, run))["s7"]
    points = [each["id"] for each in await in_database(checkpoints, run) if each["step"] == 8]
    await driver.start("steps", after_seconds=600)
    run_settings(USER_QUEUE=1)

    fork = {"action": "fork", "checkpoint": {"checkpoint_id": points[0]}, "values": {"log": ["edited"]}}
    refusals = [
        await asyncio.to_thread(elsewhere, act, client, run, **fork),
        await again(client, run, task, {"log": ["edited"], "count": 1}),
    ]
    assert [each.status_code for each in refusals] == [429, 429], [each.content for each in refusals]
    after = await driver.row(run)
    assert after.thread.values == before.thread.values
    assert (after.thread.epoch, after.thread.status) == (before.thread.epoch, "idle")
    assert not await in_database(StateEdit.objects.filter(thread=run.thread_id).exists)
    assert not await in_database(RunAction.objects.filter(run_id=run.id).exists)
    place: Any = {"configurable": {"thread_id": str(run.thread_id), "checkpoint_ns": ""}}
    stored = await driver.runtime.storage.reader().aget_tuple(place)
    assert stored is not None
    assert stored.checkpoint["channel_values"]["log"] == before.thread.values["log"]

    run_settings(USER_QUEUE=0)
    response = await asyncio.to_thread(elsewhere, act, client, run, **fork)
    row = await driver.finish(Run(id=response.json()["run"]))
    assert row.thread.values["log"][-3:] == ["edited", "s8", "s9"]


async def test_a_rerun_that_is_sent_again_edits_nothing_and_is_the_same_run(driver: Driver) -> None:
    run = await driver.start("steps", {"log": ["given"], "count": 1})
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    task = (await tasks_of(client, run))["s8"]
    edit = {"log": ["edited"], "count": 1}
    first = (await again(client, run, task, edit, request="r1")).json()
    done = await driver.finish(Run(id=first["run"]))
    assert (await again(client, run, task, edit, request="r1")).json() == first
    after = await driver.row(run)
    assert after.thread.epoch == done.thread.epoch
    assert await in_database(Run.objects.filter(parent=run.id).count) == 1


@pytest.mark.django_db
def test_a_rerun_needs_a_step_an_input_and_the_right_to_read() -> None:
    run = make_run("success")
    root = sign_in(is_superuser=True)
    assert act(root, run, action="rerun", task="t").status_code == 400
    assert act(root, run, action="rerun", task=1, input={}).status_code == 400
    operator = staff("view_run", "operate_run")
    assert act(operator, run, action="rerun", task="t", input={}).status_code == 403
