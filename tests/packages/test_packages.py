"""Agents of real packages behave the same without a fault, after a kill, and after a drain."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from runs.lifecycle.outcomes import Stop
from tests.packages.agents import mailed, said
from tests.scenarios.test_crash_points import DeadMan, survive
from tests.support.driving import Driver

AGENTS = ("gated", "two_mails", "structured", "deep", "supervised", "swarm", "template")
#: The number of writes at which an agent's process is killed, drawn in each test run.
DEATHS = 4
#: The most decisions of one conversation.
MOST = 5
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def people(transactional_db: None, run_settings: Any, trace_file: Path) -> AsyncIterator[Driver]:
    from runs.worker.opening import open_runtime
    from threads.db.database import threads

    run_settings(GRAPHS={name: f"tests.packages.agents:{name}" for name in AGENTS})
    async with open_runtime() as opened:
        yield await Driver.create(opened, trace_file)
    threads.close()


def approve(request: dict[str, Any]) -> dict[str, Any]:
    return {"type": "approve"}


def edit(request: dict[str, Any]) -> dict[str, Any]:
    changed = {**request["args"], "body": "corrected"}
    return {"type": "edit", "edited_action": {"name": request["name"], "args": changed}}


def reject(request: dict[str, Any]) -> dict[str, Any]:
    return {"type": "reject", "message": "Better not."}


Decide = Callable[[dict[str, Any]], dict[str, Any]]


async def converse(
    driver: Driver,
    agent: str,
    decide: Decide = approve,
    *,
    dead_man: DeadMan | None = None,
    drain: bool = False,
) -> tuple[list[str], list[str], Any]:
    """An agent's messages, mails and last run, given a person's decisions about each action."""
    mailed.clear()
    row = await _run(driver, dead_man, drain, agent, HELLO)
    for _ in range(MOST):
        if not row.thread.interrupts:
            break
        answers = {
            asked["id"]: {"decisions": [decide(each) for each in asked["value"]["action_requests"]]}
            for found in row.thread.interrupts.values()
            for asked in found
        }
        command = {"resume": answers}
        row = await _run(driver, dead_man, drain, agent, None, thread=row.thread_id, command=command)
    assert row.status == "success", row.error
    return said(row.thread.values), list(mailed), row


async def _run(
    driver: Driver, dead_man: DeadMan | None, drain: bool, agent: str, given: Any, **fields: Any
) -> Any:
    if "thread" not in fields:
        fields["if_not_exists"] = "create"
    run = await driver.start(agent, given or {}, **fields)
    if drain and (active := driver.runtime.manager and driver.runtime.manager.active.get(run.id)):
        active.execution.stop(Stop.DRAIN)
    return await survive(driver, run, dead_man) if dead_man else await driver.finish(run)


CASES: list[tuple[str, Decide]] = [
    ("gated", approve), ("gated", edit), ("gated", reject), ("two_mails", approve), ("two_mails", edit),
    ("structured", approve), ("deep", approve), ("deep", edit), ("supervised", approve), ("swarm", approve),
]  # fmt: skip


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("agent", "decide"), CASES)
async def test_an_agent_says_and_does_the_same_after_a_kill_and_after_a_drain(
    people: Driver, agent: str, decide: Decide
) -> None:
    counting = DeadMan(people.runtime.storage, point=10**9, when="")
    people.runtime.storage.commits = counting  # type: ignore[assignment]
    expected, sent, _ = await converse(people, agent, decide)
    people.runtime.storage.commits = counting.real
    assert expected[-1] != "human Hello"
    drained, sent_then, _ = await converse(people, agent, decide, drain=True)
    assert (drained, set(sent_then)) == (expected, set(sent))
    seed = random.randrange(10**6)
    for point in random.Random(seed).sample(range(1, counting.count + 1), min(DEATHS, counting.count)):
        dead_man = DeadMan(
            people.runtime.storage, point=point, when=random.Random(seed + point).choice(("before", "after"))
        )
        people.runtime.storage.commits = dead_man  # type: ignore[assignment]
        told, sent_then, _ = await converse(people, agent, decide, dead_man=dead_man)
        people.runtime.storage.commits = dead_man.real
        label = f"seed {seed}, {dead_man.when} write {point}"
        assert told == expected, label
        # An interrupted tool call may be repeated; none is left out, and no other is made.
        assert set(sent_then) == set(sent), label


async def test_decisions_reach_the_actions_that_they_are_about(people: Driver) -> None:
    assert (await converse(people, "gated", edit))[1] == ["ada: corrected"]
    assert (await converse(people, "gated", reject))[1] == []

    def only_bob(request: dict[str, Any]) -> dict[str, Any]:
        return approve(request) if request["args"]["to"] == "bob" else reject(request)

    assert (await converse(people, "two_mails", only_bob))[1] == ["bob: bye"]


async def test_a_structured_response_is_in_the_state(people: Driver) -> None:
    *_, row = await converse(people, "structured")
    assert row.thread.values["structured_response"] == {"verdict": "good", "score": 3}


async def test_a_template_has_its_defaults_and_each_users_memory(people: Driver) -> None:
    def last(run: Any) -> str:
        return said(run.thread.values)[-1]

    first = await people.finish(await people.start("template", HELLO))
    assert last(first) == "ai Hello, default: 0 before"
    for count in range(2):
        context = {"user_id": "ada", "greeting": "Hi"}
        run = await people.finish(await people.start("template", HELLO, context=context))
        assert last(run) == f"ai Hi, ada: {count} before"
