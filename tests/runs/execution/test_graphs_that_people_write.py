"""Graphs with mistakes, and with uncommon features."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from runs.api.responses.results import wait_for_result
from runs.conf import settings
from runs.lifecycle.cancellation import cancel_run
from tests.runs.execution import graphs
from tests.support.driving import Driver

NAMES = (
    "blocks",
    "own_loop",
    "hangs",
    "asks",
    "schemed",
    "fails",
    "talks",
    "quick",
    "coloured",
    "functional",
    "finds",
)


@pytest.fixture
async def people(transactional_db: None, run_settings: Any, trace_file: Path) -> AsyncIterator[Driver]:
    from runs.worker.opening import open_runtime
    from threads.db.database import threads

    run_settings(GRAPHS={name: f"tests.runs.execution.graphs:{name}" for name in NAMES}, CANCEL_GRACE=0.2)
    async with open_runtime() as opened:
        yield await Driver.create(opened, trace_file)
    threads.close()


@pytest.fixture
def held() -> Iterator[None]:
    """Lets hanging nodes end after the test."""
    graphs.release.clear()
    graphs.hanging.clear()
    yield
    graphs.release.set()


async def test_a_synchronous_call_of_a_subgraph_in_the_loop_is_an_error_and_hangs_nothing(
    people: Driver,
) -> None:
    run = await people.finish(await people.start("blocks"))
    assert run.status == "error"
    assert "await its asynchronous form" in run.error["message"]
    assert (await people.finish(await people.start("quick"))).status == "success"


async def test_a_synchronous_node_may_run_a_subgraph_in_a_loop_of_its_own(people: Driver) -> None:
    run = await people.finish(await people.start("own_loop"))
    assert (run.status, run.thread.values["log"]) == ("success", ["inner"])


async def test_nodes_that_hang_hold_up_neither_others_nor_large_states(people: Driver, held: None) -> None:
    stuck = [await people.start("hangs") for _ in range(12)]
    large = {"log": ["x" * 400_000]}
    async with asyncio.timeout(10):
        assert (await people.finish(await people.start("quick", large))).status == "success"
        assert (await people.finish(await people.start("quick", large))).status == "success"
    for run in stuck:
        assert (await people.row(run)).status == "running"


async def test_nodes_that_hang_after_a_cancel_leave_their_threads_to_others(
    people: Driver, held: None, run_settings: Any
) -> None:
    count = 2 * settings.CONCURRENCY
    async with asyncio.timeout(100):
        for number in range(1, count + 1):
            run = await people.start("hangs")
            while len(graphs.hanging) < number:
                await asyncio.sleep(0.005)
            await cancel_run(run.id, thread_id=run.thread_id, principal=people.principal, action="interrupt")
            assert (await people.finish(run)).status == "interrupted"
        assert (await people.finish(await people.start("quick"))).status == "success"
    assert people.runtime.nodes.abandoned == count


async def test_a_new_answer_takes_the_place_of_one_that_a_failed_node_took(people: Driver) -> None:
    asked = await people.finish(await people.start("asks"))
    graphs.down.append(True)
    failed = await people.finish(await people.resume("asks", "approve", thread=asked.thread_id))
    assert (failed.status, failed.thread.status) == ("error", "error")
    assert [each["value"] for found in failed.thread.interrupts.values() for each in found] == ["may I?"]
    graphs.down.clear()
    done = await people.finish(await people.resume("asks", "REJECT", thread=asked.thread_id))
    assert done.thread.values["log"] == ["REJECT"]


async def test_a_failed_node_that_is_tried_again_without_an_answer_has_the_one_it_took(
    people: Driver,
) -> None:
    asked = await people.finish(await people.start("asks"))
    graphs.down.append(True)
    await people.finish(await people.resume("asks", "approve", thread=asked.thread_id))
    graphs.down.clear()
    done = await people.finish(await people.go_on("asks", thread=asked.thread_id))
    assert done.thread.values["log"] == ["approve"]


async def test_an_interrupt_keeps_the_schema_of_its_answer(people: Driver) -> None:
    run = await people.finish(await people.start("schemed"))
    [[asked]] = run.thread.interrupts.values()
    assert (asked["value"], asked["response_schema"]) == ("how many?", {"type": "integer"})
    assert orjson.loads(await wait_for_result(run.id))["__interrupt__"] == [asked]


async def test_an_object_in_a_question_is_shown_as_json(people: Driver) -> None:
    """The settlement could not store it, once checkpoints restored its class, and was tried for ever."""
    run = await people.finish(await people.start("finds"))
    [[asked]] = run.thread.interrupts.values()
    assert asked["value"] == {"finding": {"title": "a leak"}}
    done = await people.finish(await people.resume("finds", "mended", thread=run.thread_id))
    assert done.thread.values["log"] == ["mended a leak"]


async def test_who_waits_for_a_function_is_shown_its_interrupt(people: Driver) -> None:
    run = await people.start("functional", {"x": 1})
    answer = orjson.loads(await wait_for_result(run.id))
    assert [each["value"] for each in answer["__interrupt__"]] == ["sure?"]
    done = await people.finish(await people.resume("functional", "yes", thread=run.thread_id))
    assert done.thread.values == "1 yes"


async def test_members_of_an_enumeration_keep_their_class(people: Driver) -> None:
    run = await people.finish(await people.start("coloured", {"log": []}))
    reader = people.runtime.storage.reader().with_allowlist(
        {("tests.runs.execution.graphs", "Colour"), ("tests.runs.execution.graphs", "Mood")}
    )
    found = await reader.aget_tuple({"configurable": {"thread_id": str(run.thread_id)}})
    assert found is not None
    values = found.checkpoint["channel_values"]
    assert (values["colour"], values["mood"]) == (graphs.Colour.RED, graphs.Mood.GOOD)
    assert (type(values["colour"]), type(values["mood"])) == (graphs.Colour, graphs.Mood)


async def test_tokens_of_a_model_without_a_name_are_counted(people: Driver) -> None:
    run = await people.finish(await people.start("talks"))
    assert (run.input_tokens, run.output_tokens) == (3, 4)


@pytest.mark.parametrize(("given", "message"), [
    ("open", "password=*** of db.internal"), ("secret", "An internal error occurred"),
])  # fmt: skip
async def test_an_errors_text_is_shown_if_it_is_derived_from_one_that_is(
    people: Driver, given: str, message: str
) -> None:
    run = await people.start("fails", {"log": [given]}, stream_modes=["tasks", "debug", "events"])
    events = await people.events(run)
    done = await people.finish(run)
    assert done.thread.error["message"] == message
    answer = orjson.loads(await wait_for_result(run.id))
    assert answer["__error__"] == {"error": "Wrong" if given == "open" else "Secret", "message": message}
    told = " ".join(event.data for event in events)
    assert "hunter2" not in told
    assert ("db.internal" in told) is (given == "open")
