"""Stories of client calls on realistic graphs, with a crash of the process at any write.

Each has the same result as without the crash. The suite takes a share of the points of each story;
`STORY_POINTS=all` takes all of them, and `STORY_SEED` those of a printed seed.
"""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import StateSnapshot, StateUpdate

from runs.models import Run
from runs.states.edits import update_state
from tests.runs.execution import story_graphs
from tests.scenarios.test_crash_points import DeadMan, survive
from tests.support.driving import NOTHING, Driver

#: Half the number of points that the suite takes of each story.
SHARE = 1
SEED = int(os.environ.get("STORY_SEED") or random.randrange(10**9))
NAMES = (
    "plain", "asks", "asks_twice", "subgraph_asks_twice", "sends", "router", "memory", "functional", "travel",
    "travel_deep",
)  # fmt: skip


def given(*log: str, **values: Any) -> dict[str, Any]:
    return {"input": {"log": list(log), **values}}


def answer(resume: Any, **command: Any) -> dict[str, Any]:
    return {"command": {"resume": resume, **command}}


GO_ON = {"input": NOTHING}
#: Steps that are not runs: remember the innermost graph's checkpoint and interrupt, or edit its state there.
REMEMBER, EDIT = {"step": "remember"}, {"step": "edit"}
#: A run that begins at that checkpoint, and one that answers by the interrupt's id.
INSIDE, BY_ID = {"inside": True}, {"by_id": True}
STORIES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "a breakpoint before": ("plain", [given() | {"interrupt_before": ["b"]}, GO_ON]),
    "a breakpoint after": ("plain", [given() | {"interrupt_after": ["a"]}, GO_ON]),
    "breakpoints everywhere": (
        "plain", [given() | {"interrupt_before": "*"}, *[GO_ON | {"interrupt_before": "*"}] * 2, GO_ON]
    ),
    "an answer with an update": ("asks", [given("in"), answer("yes", update={"log": ["updated"]})]),
    "an answer with an update of a plain key": ("asks", [given("in"), answer("yes", update={"topic": "T"})]),
    "a command that sends": (
        "sends", [given("in"), {"command": {"goto": [{"node": "worker", "input": {"n": 1}}]}}]
    ),
    "two turns of a subgraph with a memory": ("memory", [given(said="one"), given(said="two")]),
    "two interrupts of a node": ("asks_twice", [given("in"), answer("one"), answer("two")]),
    "two interrupts in a subgraph": ("subgraph_asks_twice", [given("in"), answer("one"), answer("two")]),
    "a function": ("functional", [{"input": {"x": 1}}, answer("yes")]),
    "a conditional edge": ("router", [given()]),
    "back to a subgraph's checkpoint": (
        "travel", [given(), REMEMBER, answer("one"), GO_ON | INSIDE, answer("two")]
    ),
    "an answer at a subgraph's checkpoint": (
        "travel", [given(), REMEMBER, answer("one"), answer("two") | INSIDE]
    ),
    "an answer after an edit in a subgraph": ("travel", [given(), REMEMBER, EDIT, answer("yes")]),
    "an answer at an older checkpoint": ("asks", [given(), REMEMBER, answer("one"), answer("two") | INSIDE]),
    "an answer by id at an older checkpoint": (
        "asks", [given(), REMEMBER, answer("one"), answer("two") | INSIDE | BY_ID]
    ),
    "an answer with an update at an older checkpoint": (
        "asks", [given(), REMEMBER, answer("one"), answer("two", update={"topic": "T"}) | INSIDE]
    ),
    "back to an older checkpoint": ("asks", [given(), REMEMBER, answer("one"), GO_ON | INSIDE, answer("two")]),
    "an answer two subgraphs deep, at an older checkpoint": (
        "travel_deep", [given(), REMEMBER, answer("one"), answer("two") | INSIDE]
    ),
    "back to a checkpoint two subgraphs deep": (
        "travel_deep", [given(), REMEMBER, answer("one"), GO_ON | INSIDE, answer("two")]
    ),
    "an answer after an edit two subgraphs deep": ("travel_deep", [given(), REMEMBER, EDIT, answer("yes")]),
    "back to before a subgraph with a memory": (
        "memory",
        [given(said="one") | {"interrupt_before": ["call"]}, REMEMBER, GO_ON, given(said="two"), GO_ON | INSIDE],
    ),
    "an answer with an update at a subgraph's checkpoint": (
        "travel", [given(), REMEMBER, answer("one"), answer("two", update={"topic": "T"}) | INSIDE]
    ),
}  # fmt: skip

#: The ends of some stories, because a graph that ignores an answer would end in success too.
LAST = {
    "an answer at an older checkpoint": ["two", "last"],
    "an answer by id at an older checkpoint": ["two", "last"],
    "an answer with an update at an older checkpoint": ["two", "last"],
    "back to an older checkpoint": ["two", "last"],
    "an answer at a subgraph's checkpoint": ["p1", "p1", "s1", "two", "s2", "p2"],
    "an answer after an edit in a subgraph": ["p1", "p1", "s1", "edited", "yes", "s2", "p2"],
}


@pytest.fixture
async def told(transactional_db: None, run_settings: Any, trace_file: Path) -> AsyncIterator[Driver]:
    from runs.worker.opening import open_runtime
    from threads.db.database import threads

    run_settings(GRAPHS={name: f"tests.runs.execution.story_graphs:{name}" for name in NAMES})
    async with open_runtime() as opened:
        yield await Driver.create(opened, trace_file)
    threads.close()


async def inside(driver: Driver, name: str, run: Run) -> dict[str, Any]:
    """The address of the current checkpoint of a thread's innermost graph."""
    graph: Any = copy.copy(getattr(story_graphs, name))
    graph.checkpointer = driver.runtime.storage.reader()
    state = await graph.aget_state({"configurable": {"thread_id": str(run.thread_id)}}, subgraphs=True)
    while state.tasks and isinstance(state.tasks[0].state, StateSnapshot):
        state = state.tasks[0].state
    place = state.config["configurable"]
    return {key: place[key] for key in ("checkpoint_id", "checkpoint_ns", "checkpoint_map") if key in place}


def shown(run: Run) -> tuple[Any, ...]:
    asked = sorted(str(each["value"]) for found in run.thread.interrupts.values() for each in found)
    return run.status, run.error, run.thread.status, asked, run.thread.values


class Story:
    """One execution of a story, with a crash at one write."""

    def __init__(self, driver: Driver, name: str, durability: str, *, point: int, when: str) -> None:
        self.graph, self.steps = STORIES[name]
        self.driver, self.durability = driver, durability
        self.dead_man = DeadMan(driver.runtime.storage, point=point, when=when)
        self.runs: list[Run] = []
        self.place: dict[str, Any] = {}
        self.asked = ""

    async def tell(self) -> list[tuple[Any, ...]]:
        storage: Any = self.driver.runtime.storage
        storage.commits = self.dead_man
        for step in self.steps:
            if step is REMEMBER:
                self.place = await inside(self.driver, self.graph, self.runs[-1])
                found = [each["id"] for asked in self.runs[-1].thread.interrupts.values() for each in asked]
                self.asked = found[0] if found else ""
            elif step is EDIT:
                updates = [[StateUpdate({"log": ["edited"]}, None)]]
                thread = self.runs[-1].thread_id
                await update_state(thread, updates, principal=self.driver.principal, checkpoint=self.place)
            else:
                self.runs.append(await self._run(dict(step)))
        storage.commits = self.dead_man.real
        return [shown(run) for run in self.runs]

    async def _run(self, fields: dict[str, Any]) -> Run:
        thread = self.runs[-1].thread_id if self.runs else None
        checkpoint = self.place if fields.pop("inside", False) else None
        if fields.pop("by_id", False):
            fields["command"] = {"resume": {self.asked: fields["command"]["resume"]}}
        run = await self.driver.start(
            self.graph, fields.pop("input", None), thread=thread, durability=self.durability,
            checkpoint=checkpoint, **fields,
        )  # fmt: skip
        return await survive(self.driver, run, self.dead_man)

    def executions(self) -> Counter[str]:
        return sum((self.driver.executions(run) for run in self.runs), start=Counter())


def points(name: str, durability: str, writes: int) -> list[tuple[str, int]]:
    """The points of the crashes, by the seed."""
    every = [(when, point) for when in ("before", "after") for point in range(1, writes + 1)]
    if os.environ.get("STORY_POINTS") == "all":
        return every
    rng = random.Random(f"{SEED} {name} {durability}")
    return sorted(rng.sample(every, min(2 * SHARE, len(every))))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("name", STORIES)
async def test_a_death_at_any_write_changes_nothing_that_is_told(
    told: Driver, name: str, durability: str
) -> None:
    whole = Story(told, name, durability, point=0, when="before")
    wanted = await whole.tell()
    assert all(run[:2] == ("success", None) for run in wanted)
    if name in LAST:
        assert wanted[-1][-1]["log"] == LAST[name]
    executed, found = whole.executions(), []
    for when, point in points(name, durability, whole.dead_man.count):
        story = Story(told, name, durability, point=point, when=when)
        got = await story.tell()
        repeated = story.executions() - executed
        if got != wanted or any(count > 1 for count in repeated.values()):
            found.append(f"died {when} write {point}: {got}, executed again {dict(repeated)}")
    assert not found, "\n".join([f"STORY_SEED={SEED}", f"wanted: {wanted}", *found])
