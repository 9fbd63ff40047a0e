from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from deerflow_site.graphs import agent, knobs

ROOT = Path(__file__).parents[3]
QUESTION = {"messages": [{"role": "user", "content": "How do leases and heartbeats find a dead worker?"}]}


async def run(path: str, input: Any, *, attempt: int) -> list[str]:
    """Run the agent on a file of checkpoints as the server would; the nodes that finished, subgraphs' too."""
    config: RunnableConfig = {"configurable": {"thread_id": "1"}, "metadata": {"run_attempt": attempt}}
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        graph = agent.graph.copy(update={"checkpointer": saver})
        parts = graph.astream(input, config, stream_mode="updates", subgraphs=True, durability="sync")
        return [node async for _, update in parts for node in update]


def killed_at(node: str, path: Path) -> int:
    """Run the first attempt in a separate process that is configured to crash at `node`.

    Return its exit code.
    """
    environ = {**os.environ, "DEMO_CRASH_AT": node}
    command = [sys.executable, "-m", __name__, str(path)]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False, timeout=60).returncode


def test_a_killed_run_is_resumed_without_repeating_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints.sqlite3"
    assert killed_at("draft", path) == -signal.SIGKILL
    # The crash is still configured; it must not affect the second attempt.
    monkeypatch.setenv("DEMO_CRASH_AT", "draft")
    assert asyncio.run(run(str(path), None, attempt=2)) == ["draft", "__interrupt__"]


def test_a_run_killed_inside_a_subgraph_is_resumed_inside_it(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite3"
    assert killed_at("summarise", path) == -signal.SIGKILL
    nodes = asyncio.run(run(str(path), None, attempt=2))
    assert "plan" not in nodes and nodes.count("summarise") == nodes.count("research") == 3
    # At least the researcher that crashed had saved its search.
    assert nodes.count("search") < 3


def test_a_subgraph_can_be_named_as_the_place_to_crash(tmp_path: Path) -> None:
    assert killed_at("research", tmp_path / "checkpoints.sqlite3") == -signal.SIGKILL


def test_every_node_is_a_place_to_crash() -> None:
    drawn = agent.graph.get_graph(xray=True).nodes
    names = {part for name in drawn for part in name.split(":")} - {"__start__", "__end__"}
    assert names == set(knobs.NODES)


def test_a_crash_at_an_unknown_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_CRASH_AT", "drafft")
    with pytest.raises(ValueError, match=r"DEMO_CRASH_AT must be one of .*draft.*, not 'drafft'\."):
        knobs.crash_if_asked({})


@pytest.mark.parametrize(("value", "seconds"), [("", knobs.DEFAULT_DELAY), ("0", 0), ("0.5", 0.5)])
def test_the_delay_comes_from_the_environment(
    value: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_DELAY", value)
    assert knobs.delay() == seconds


@pytest.mark.parametrize("value", ["fast", "-1", "nan", "inf"])
def test_a_delay_that_is_no_number_of_seconds_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_DELAY", value)
    with pytest.raises(ValueError, match="DEMO_DELAY must be a number of seconds"):
        knobs.delay()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], QUESTION, attempt=1))
