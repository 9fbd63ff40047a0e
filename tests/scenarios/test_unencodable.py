"""A node returns a value that cannot be saved: the run ends there, with the reason."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from langgraph.graph import START, StateGraph

from tests.support.driving import Driver
from tests.support.graphs import Log, node


def unencodable() -> Any:
    """good → bad → after × 3; what `bad` returns cannot be saved."""

    async def bad(state: Log) -> dict[str, Any]:
        return {"log": [asyncio.Lock()]}

    names = ["good", "bad", "after0", "after1", "after2"]
    builder = StateGraph(Log)
    for name in names:
        builder.add_node(name, bad if name == "bad" else node(name, delay=0.2))
    builder.add_edge(START, "good")
    for left, right in pairwise(names):
        builder.add_edge(left, right)
    return builder.compile()


@pytest.fixture(autouse=True)
def registered(run_settings: Any) -> None:
    run_settings(GRAPHS={"unencodable": "tests.scenarios.test_unencodable:unencodable"})


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_run_ends_where_its_state_cannot_be_saved(driver: Driver, durability: str) -> None:
    run = await driver.finish(await driver.start("unencodable", durability=durability))
    assert run.status == "error"
    assert run.error["error"] == "TypeError"
    assert "serializable" in run.error["message"]
    assert driver.executions(run)["good"] == 1
    assert driver.executions(run)["after1"] == 0
