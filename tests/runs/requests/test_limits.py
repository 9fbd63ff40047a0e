"""Limits: each can be reached, reports itself, changes nothing, and can be switched off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from langchain_core.runnables import RunnableConfig

from runs.exceptions import InvalidRequest, LimitReached
from runs.models import Run
from runs.requests import limits
from runs.requests.run import RunRequest
from tests.support.api import http, url
from tests.support.driving import Driver
from tests.support.graphs import Log, chain, node
from tests.support.rows import make_run, make_thread, make_user
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

MANY = [
    "USER_QUEUE", "USER_RUNS_PER_MINUTE", "USER_THREADS", "USER_CRONS", "USER_CONNECTIONS", "MESSAGES_PER_INPUT"
]  # fmt: skip
TOO_MANY = "There are 3 messages; at most 2 are allowed."
SLEEP = {"assistant_id": "sleeping", "input": {"log": [], "delay": 20.0}}
RUN: dict[str, Any] = {"assistant_id": "steps", "input": {"log": []}}


async def large(state: Log, config: RunnableConfig) -> dict[str, Any]:
    return {"log": ["x" * 20_000]}


growing = chain("a")
growing.add_node("large", large)
growing.add_edge("a", "large")
silent = chain("a")
silent.add_node("silence", node("silence", delay=30.0))
silent.add_edge("a", "silence")
big, quiet = growing.compile(), silent.compile()


@pytest.fixture(autouse=True)
def nothing_counted(run_settings: Any) -> Iterator[None]:
    limits._allowances.clear()
    limits._shares.clear()
    limits._room.clear()
    run_settings(GRAPHS={
        "steps": "tests.support.graphs:steps", "sleeping": "tests.support.graphs:sleeping",
        "big": "tests.runs.requests.test_limits:big", "quiet": "tests.runs.requests.test_limits:quiet",
    })  # fmt: skip
    yield
    limits._allowances.clear()
    limits._shares.clear()
    limits._room.clear()


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert int(answer.headers["Retry-After"]) >= 1
    return answer.status_code, answer.json()["detail"]


# --- limits of a request


async def test_runs_in_a_minute(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_RUNS_PER_MINUTE=2)
    for _ in range(2):
        assert (await http.post("/runs", json=RUN)).status_code == 200
    for path in ("/runs", "/runs/stream", "/runs/wait"):
        answer = await http.post(path, json=RUN)
        assert refused(answer) == (429, "At most 2 runs a minute may be created.")
        assert 20 <= int(answer.headers["Retry-After"]) <= 30
    assert await in_database(Run.objects.count) <= 2
    run_settings(USER_RUNS_PER_MINUTE=0)
    assert (await http.post("/runs", json=RUN)).status_code == 200


class Process:
    """The cache of users in one of several processes."""

    def __init__(self) -> None:
        self.memory: tuple[dict[Any, Any], dict[Any, Any]] = {}, {}

    def creates(self, user: Any, monkeypatch: pytest.MonkeyPatch, count: int = 1) -> bool:
        """Whether a user may create runs here; if so, they are created."""
        allowances, shares = self.memory
        monkeypatch.setattr(limits, "_allowances", allowances)
        monkeypatch.setattr(limits, "_shares", shares)
        try:
            limits.take_allowance(user.pk, count)
            if not limits.take_share(user.pk, count):
                limits.check_rate(user.pk, count)
        except LimitReached:
            return False
        for _ in range(count):
            make_run("success", user=user)
        return True


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_runs_in_a_minute_are_those_of_all_processes(
    run_settings: Any, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    run_settings(USER_RUNS_PER_MINUTE=80)
    user, other = make_user(), make_user()
    site = [Process() for _ in range(processes)]
    made = sum(each.creates(user, monkeypatch) for _ in range(100) for each in site)
    assert 80 <= made <= 80 + processes * 80 / limits.SHARES
    assert not any(each.creates(user, monkeypatch) for each in [*site, Process()][:processes])
    assert site[0].creates(other, monkeypatch)
    # A process that has started meanwhile grants its share, then sums up.
    late = Process()
    assert sum(late.creates(user, monkeypatch) for _ in range(100)) == 80 // limits.SHARES
    assert not late.creates(user, monkeypatch, count=2)


def test_runs_of_a_minute_ago_count_no_more(run_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_settings(USER_RUNS_PER_MINUTE=4)
    user, process = make_user(), Process()
    assert process.creates(user, monkeypatch, count=4)
    assert not Process().creates(user, monkeypatch)
    later = clock.now() + timedelta(seconds=61)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert Process().creates(user, monkeypatch, count=4)


def test_runs_are_counted_seldom(run_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_settings(USER_RUNS_PER_MINUTE=600)
    user = make_user()
    with CaptureQueriesContext(connection) as captured:
        for _ in range(600 // limits.SHARES):
            assert limits.take_share(user.pk, 1)
        assert not captured.captured_queries
        limits.check_rate(user.pk, 1)
    assert len(captured) == 1
    assert sum(limits.take_share(user.pk, 1) for _ in range(600)) == 599 // limits.SHARES


def test_who_asks_on_and_on_is_counted_once(run_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_settings(USER_RUNS_PER_MINUTE=4)
    user, first = make_user(), Process()
    assert first.creates(user, monkeypatch, count=4)
    monkeypatch.setattr(limits, "_shares", {})
    with CaptureQueriesContext(connection) as captured:
        for asked in range(10):
            with pytest.raises(LimitReached) as caught:
                limits.take_share(user.pk, 1) or limits.check_rate(user.pk, 1)
            assert 55 <= (caught.value.retry_after or 0) <= 60, asked
    assert len(captured) == 2


def test_a_batch_that_is_too_large_leaves_room_for_less(
    run_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_settings(USER_RUNS_PER_MINUTE=4)
    user = make_user()
    assert Process().creates(user, monkeypatch, count=3)
    second = Process()
    assert not second.creates(user, monkeypatch, count=2)
    assert second.creates(user, monkeypatch)


async def test_a_batch_is_as_many_runs_and_inputs_as_it_has(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(USER_RUNS_PER_MINUTE=3, MESSAGES_PER_INPUT=1)
    talk = {**RUN, "input": {"messages": [{"role": "user", "content": "Hi"}] * 2}}
    answer = await http.post("/runs/batch", json=[RUN, talk])
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "There are 2 messages; at most 1 are allowed.",
    )
    assert (await http.post("/runs/batch", json=[RUN] * 2)).status_code == 200
    answer = await http.post("/runs/batch", json=[RUN] * 2)
    assert refused(answer) == (429, "At most 3 runs a minute may be created.")
    assert await in_database(Run.objects.count) <= 2


def test_an_allowance_comes_back_with_time(run_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_settings(USER_RUNS_PER_MINUTE=60)
    now = 1000.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    limits.take_allowance(1, count=60)
    limits.take_allowance(2)
    with pytest.raises(LimitReached) as caught:
        limits.take_allowance(1)
    assert caught.value.retry_after == 1
    now += 1.0
    limits.take_allowance(1)
    with pytest.raises(LimitReached):
        limits.take_allowance(1)
    now += 3600.0
    limits.take_allowance(1, count=60)
    monkeypatch.setattr(limits, "REMEMBERED", 1)
    limits.take_allowance(3)
    assert list(limits._allowances) == [1, 3] or list(limits._allowances) == [3]


async def test_runs_that_wait(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_QUEUE=2)
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    later = {**RUN, "after_seconds": 3600}
    for _ in range(2):
        assert (await http.post(f"/threads/{thread}/runs", json=later)).status_code == 200
    said = "2 of your runs wait already; wait until some have begun."
    assert refused(await http.post(f"/threads/{thread}/runs", json=later)) == (429, said)
    before = await in_database(Thread.objects.count)
    assert refused(await http.post("/runs", json=later)) == (429, said)
    assert (await in_database(Run.objects.count), await in_database(Thread.objects.count)) == (2, before)
    # One that begins at once does not wait.
    assert (await http.post("/runs/wait", json=RUN)).status_code == 200


def test_a_queue_is_looked_at_by_an_index(run_settings: Any) -> None:
    run_settings(USER_QUEUE=2)
    user = make_user()
    # For few rows PostgreSQL uses any index.
    thread = make_thread()
    for _ in range(200):
        make_run(thread=thread)
    limits.check_queue(user.pk)
    with CaptureQueriesContext(connection) as captured:
        limits.check_queue(user.pk)
    [query] = captured.captured_queries
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE runs_run")
            # For a user without runs it is as good.
            cursor.execute("DROP INDEX runs_of_user")
        cursor.execute(
            ("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + query["sql"]
        )
        plan = str(cursor.fetchall())
        transaction.set_rollback(True)
    assert "runs_waiting_by_user" in plan
    make_run(user=user)
    limits.check_queue(user.pk)
    make_run(user=user)
    with pytest.raises(LimitReached):
        limits.check_queue(user.pk)
    limits.check_queue(make_user().pk)


async def test_threads(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_THREADS=3)
    made = [await http.post("/threads", json={}) for _ in range(3)]
    assert {answer.status_code for answer in made} == {200}
    said = "You have 3 threads, and may have no more; delete some."
    assert refused(await http.post("/threads", json={})) == (429, said)
    kept = {**RUN, "on_completion": "keep"}
    assert refused(await http.post("/runs", json=kept)) == (429, said)
    # A thread that is deleted with its run does not count as the user's.
    assert (await http.post("/runs/wait", json=RUN)).status_code == 200
    await in_database(Thread.objects.filter(id=made[0].json()["thread_id"]).delete)
    assert (await http.post("/threads", json={})).status_code == 200


def test_threads_are_counted_seldom(run_settings: Any) -> None:
    run_settings(USER_THREADS=100)
    user = make_user()
    with CaptureQueriesContext(connection) as captured:
        for _ in range(50):
            limits.check_threads(user.pk)
    assert len(captured) <= 2
    for _ in range(100):
        make_thread(user=user)
    limits._room.clear()
    with pytest.raises(LimitReached):
        limits.check_threads(user.pk)


async def test_a_batch_is_as_many_runs(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_RUNS_PER_MINUTE=3, USER_QUEUE=2, MESSAGES_PER_INPUT=2)
    refused_batches = {
        "At most 3 runs a minute may be created.": [RUN] * 4,
        "2 of your runs wait already; wait until some have begun.": [{**RUN, "after_seconds": 60}] * 3,
    }
    for said, batch in refused_batches.items():
        assert refused(await http.post("/runs/batch", json=batch)) == (429, said)
        limits._allowances.clear()
    limits._shares.clear()
    long = {"assistant_id": "steps", "input": {"messages": [{"role": "user", "content": "x"}] * 3}}
    assert (await http.post("/runs/batch", json=[RUN, long])).status_code == 422
    assert not await in_database(Run.objects.exists)
    assert (await http.post("/runs/batch", json=[RUN] * 2)).status_code == 200
    assert (await http.post("/runs/batch", json=[RUN] * 2)).status_code == 429


async def test_crons(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_CRONS=2, MESSAGES_PER_INPUT=2)
    yearly = {**RUN, "schedule": "0 0 1 1 *"}
    long = {"messages": [{"role": "user", "content": "x"}] * 3}
    assert (await http.post("/runs/crons", json={**yearly, "input": long})).status_code == 422
    made = [(await http.post("/runs/crons", json=yearly)).json()["cron_id"] for _ in range(2)]
    said = "You have 2 crons, and may have no more; delete some."
    assert refused(await http.post("/runs/crons", json=yearly)) == (429, said)
    assert (await http.patch(f"/runs/crons/{made[0]}", json={"input": long})).status_code == 422
    assert (await http.delete(f"/runs/crons/{made[0]}")).status_code == 204
    assert (await http.post("/runs/crons", json=yearly)).status_code == 200


async def test_open_streams(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_CONNECTIONS=1)
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=SLEEP) as one:
        assert one.status_code == 200
        run = one.headers["Content-Location"].rpartition("/")[2]
        second = await http.get(f"/threads/{thread}/runs/{run}/stream")
        assert refused(second) == (429, "You have 1 open streams; close some.")
        assert (await http.get(f"/threads/{thread}/runs/{run}")).status_code == 200
    async with asyncio.timeout(10):
        while limits._open:
            await asyncio.sleep(0.01)
    await http.post(f"/threads/{thread}/runs/{run}/cancel?wait=1")
    assert (await http.get(f"/threads/{thread}/runs/{run}/join")).status_code == 200


MESSAGES = [{"role": "user", "content": "x"}] * 3
STATES: dict[str, Any] = {
    "an input": {"input": {"messages": MESSAGES}},
    "an update": {"command": {"update": {"messages": MESSAGES}}},
    "pairs": {"command": {"update": [["messages", MESSAGES[:2]], ["messages", MESSAGES[2:]]]}},
    "what is sent": {"command": {"goto": {"node": "s0", "input": {"messages": MESSAGES}}}},
    "all that is sent": {"command": {"goto": [{"node": "s0", "input": {"messages": MESSAGES[:1]}}] * 3}},
}


def unprocessable(answer: httpx.Response) -> str:
    assert answer.status_code == 422
    return str(answer.json()["detail"])


@pytest.mark.parametrize("place", STATES)
async def test_messages(place: str, http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(MESSAGES_PER_INPUT=2)
    run = {"assistant_id": "steps", **STATES[place]}
    cron = {**run, "schedule": "0 0 1 1 *"}
    for path, body in {"/runs": run, "/runs/batch": [RUN, run], "/runs/crons": cron}.items():
        assert unprocessable(await http.post(path, json=body)) == TOO_MANY, path
    assert not await in_database(Run.objects.exists)


async def test_messages_of_a_state(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(MESSAGES_PER_INPUT=1, MESSAGES_PER_EDIT=2)
    made = {"metadata": {"graph_id": "steps"}}
    thread = (await http.post("/threads", json=made)).json()["thread_id"]
    edits: list[dict[str, Any]] = [
        {"values": {"messages": MESSAGES}},
        *(each for each in STATES.values() if "command" in each),
    ]
    for edit in edits:
        steps = {"supersteps": [{"updates": [{**edit, "as_node": "s0"}]}]}
        assert unprocessable(await http.post("/threads", json={**made, **steps})) == TOO_MANY
    in_turn = [{"updates": [{"values": {"messages": [each]}, "as_node": "s0"}]} for each in MESSAGES]
    assert unprocessable(await http.post("/threads", json={**made, "supersteps": in_turn})) == TOO_MANY
    assert unprocessable(await http.post(f"/threads/{thread}/state", json=edits[0])) == TOO_MANY
    edit = {"values": {"log": ["x"], "messages": MESSAGES[:2]}, "as_node": "s0"}
    assert (await http.post(f"/threads/{thread}/state", json=edit)).status_code == 200


async def test_messages_of_a_command_of_the_protocol(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(MESSAGES_PER_INPUT=2)
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    params = {"assistant_id": "steps", "input": {"messages": MESSAGES}}
    command = {"id": 1, "method": "run.start", "params": params}
    answer = await http.post(f"/threads/{thread}/commands", json=command)
    assert TOO_MANY in answer.json()["message"]
    assert not await in_database(Run.objects.exists)


@pytest.mark.parametrize("input", [None, [], "x", {"messages": "x"}, {"messages": [1, 2]}])
def test_few_messages_and_other_inputs_pass(input: Any, run_settings: Any) -> None:
    run_settings(MESSAGES_PER_INPUT=2)
    limits.check_input(RunRequest(assistant_id="steps", input=input))


def test_a_limit_of_0_is_none(run_settings: Any) -> None:
    run_settings(**dict.fromkeys(MANY, 0))
    user = make_user()
    with CaptureQueriesContext(connection) as captured:
        async_to_sync(limits.take_runs)(user.pk, count=10_000)
        limits.check_queue(user.pk)
        limits.check_threads(user.pk)
        limits.check_crons(user.pk)
        limits.check_input(RunRequest(assistant_id="steps", input={"messages": [0] * 1000}))
    assert not captured.captured_queries
    run_settings(MESSAGES_PER_INPUT=1)
    with pytest.raises(InvalidRequest):
        limits.check_input(RunRequest(assistant_id="steps", input={"messages": [0] * 2}))


# --- limits of a run


async def ended(driver: Driver, graph: str) -> tuple[str, dict[str, str], list[str]]:
    run = await driver.start(graph)
    events = await driver.events(run)
    row = await driver.row(run)
    assert row.thread.status == "error"
    return row.status, row.error, [event.name for event in events]


async def test_a_state(driver: Driver, run_settings: Any) -> None:
    run_settings(STATE_LIMIT=10_000)
    status, error, _ = await ended(driver, "big")
    assert (status, error["error"]) == ("error", "StateTooLarge")
    assert "at most 10000 are allowed" in error["message"]


async def test_an_event(driver: Driver, run_settings: Any) -> None:
    run_settings(EVENT_LIMIT=10_000)
    status, error, names = await ended(driver, "big")
    said = {"error": "RunTooLarge", "message": "An event (updates) is larger than 10000 characters."}
    assert (status, error) == ("error", said)
    assert names[-1] == "error"


async def test_events(driver: Driver, run_settings: Any) -> None:
    run_settings(EVENTS_PER_RUN=3)
    status, error, names = await ended(driver, "steps")
    said = {"error": "RunTooLarge", "message": "The run streams more than 3 events."}
    assert (status, error) == ("error", said)
    # Items that were packed together ("+") follow the writes of the log.
    assert len([name for name in names if name != "+"]) == 3
    assert json.dumps(names[-1]) == '"error"'


async def test_idleness(driver: Driver, run_settings: Any) -> None:
    run_settings(IDLE_TIMEOUT=0.4)
    status, error, _ = await ended(driver, "quiet")
    assert (status, error) == (
        "timeout",
        {"error": "RunTimeout", "message": "The run did nothing for 0.4 s."},
    )


async def test_a_run_that_does_something_is_not_idle(driver: Driver, run_settings: Any) -> None:
    run_settings(IDLE_TIMEOUT=5.0)
    run = await driver.finish(await driver.start("steps"))
    assert run.status == "success"
