"""How far graphs run ahead of the storage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel._loop import AsyncPregelLoop, SyncPregelLoop

from runs.execution import pace
from runs.models import Run
from tests.support.driving import Driver
from tests.support.graphs import Log, chain, node, trace
from threads.checkpoints import Rows

NAMES = ("plain", "nested", "called", "synchronous")
STEPS = ["s1", "s2", "s3", "s4", "s5", "s6"]


def _holding(action: Any) -> Any:
    builder = StateGraph(Log)
    builder.add_node("outer", action)
    builder.add_edge(START, "outer")
    builder.add_edge("outer", END)
    return builder.compile()


def _synchronous() -> Any:
    def step(name: str) -> Any:
        def work(state: Log, config: RunnableConfig) -> dict[str, Any]:
            trace(config, name)
            return {"log": [name]}

        return work

    builder = StateGraph(Log)
    for name in STEPS:
        builder.add_node(name, step(name))
    for left, right in zip((START, *STEPS), (*STEPS, END), strict=True):
        builder.add_edge(left, right)
    graph = builder.compile()
    return _holding(lambda state, config: graph.invoke({"log": []}, config))


async def _call(state: Log, config: RunnableConfig) -> Any:
    return await plain.ainvoke({"log": []}, config)


plain = chain(*STEPS).compile()
nested = _holding(_holding(chain(*STEPS).compile()))
called = _holding(_call)
synchronous = _synchronous()


class Held:
    """Replaces the storage's group commit; from some moment on, checkpoints wait until it is opened."""

    def __init__(self, storage: Any, *, held: Callable[[], bool]) -> None:
        self.real, self.serde, self.retry_seconds = (
            storage.commits,
            storage.serde,
            storage.commits.retry_seconds,
        )
        self.opened = asyncio.Event()
        self._held = held

    def submit(self, rows: Rows) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._later(rows)) if self._held() else self.real.submit(rows)

    async def _later(self, rows: Rows) -> None:
        await self.opened.wait()
        await self.real.submit(rows)

    async def close(self) -> None:
        await self.real.close()


@pytest.fixture
async def paced(transactional_db: None, run_settings: Any, trace_file: Path) -> AsyncIterator[Driver]:
    from runs.worker.opening import open_runtime
    from threads.db.database import threads

    run_settings(GRAPHS={name: f"{__name__}:{name}" for name in NAMES})
    async with open_runtime() as opened:
        yield await Driver.create(opened, trace_file)
    threads.close()


@pytest.mark.parametrize("name", NAMES)
async def test_a_graph_at_any_depth_runs_ahead_of_the_storage_by_one_step(paced: Driver, name: str) -> None:
    runs: list[Run] = []
    held = Held(paced.runtime.storage, held=lambda: bool(runs and paced.executions(runs[0])["s2"]))
    paced.runtime.storage.commits = held  # type: ignore[assignment]
    runs.append(run := await paced.start(name, durability="async"))
    await paced.executing(run, "s2")
    await asyncio.sleep(0.3)
    # The checkpoint before `s2` may have been saved when it began, and that of `s2` was not.
    executed = [each for each in STEPS if paced.executions(run)[each]]
    held.opened.set()
    paced.runtime.storage.commits = held.real
    assert (await paced.finish(run)).status == "success"
    assert executed in (STEPS[:2], STEPS[:3])
    assert [paced.executions(run)[each] for each in STEPS] == [1] * len(STEPS)


def test_the_hook_is_installed_once() -> None:
    assert AsyncPregelLoop.amatch_cached_writes is pace._amatch_cached_writes  # type: ignore[comparison-overlap]
    assert SyncPregelLoop.match_cached_writes is pace._match_cached_writes  # type: ignore[comparison-overlap]
    assert pace._original is not pace._match_cached_writes


async def test_plain_langgraph_runs_ahead_by_any_number_of_steps() -> None:
    """The deviation in docs/reference/upstream.md. A failure means that LangGraph has changed."""

    class Slow(InMemorySaver):
        saved = 0

        async def aput(self, *arguments: Any) -> Any:
            await opened.wait()
            self.saved += 1
            return await super().aput(*arguments)

    async def last(state: Log) -> dict[str, Any]:
        ahead.append(saver.saved)
        opened.set()
        return {"log": ["last"]}

    opened, saver, ahead = asyncio.Event(), Slow(), list[int]()
    builder = StateGraph(Log)
    names = ["a", "b", "c", "last"]
    for name in names:
        builder.add_node(name, last if name == "last" else node(name))
    for left, right in zip((START, *names), (*names, END), strict=True):
        builder.add_edge(left, right)
    graph = builder.compile(checkpointer=saver)
    await graph.ainvoke({"log": []}, {"configurable": {"thread_id": "1"}}, durability="async")
    assert ahead == [0]
