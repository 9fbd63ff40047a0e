"""This server's histories, compared field by field with LangGraph's through a stock saver."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import StateSnapshot

from runs.conf import settings
from tests.threads.state.shapes import SHAPES, chain, failing, nested, parallel
from threads.checkpoints import CheckpointStorage, open_checkpoints
from threads.state.read import thread_state
from threads.state.snapshots import Snapshots, history

#: Shapes with states that are left to LangGraph: answers, commands, updates without a task, and delta
#: channels.
OTHERWISE = {
    "parallel", "stopped", "nested", "keeping", "nested twice", "sends", "careless", "delta",
    "functional", "an answer for nobody",
}  # fmt: skip

SERDE = JsonPlusSerializer(allowed_msgpack_modules=[("tests.threads.state.shapes", "Failed")])


@pytest.fixture
async def storage(transactional_db: None, run_settings: Any) -> AsyncIterator[CheckpointStorage]:
    async with open_checkpoints(file=settings.CHECKPOINTS_FILE, serde=SERDE) as opened:
        yield opened


@asynccontextmanager
async def stock_saver(storage: Any) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """LangGraph's own saver of this database, on the same tables."""
    if hasattr(storage, "_pool"):
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

        yield AsyncPostgresSaver(storage._pool, serde=SERDE)
        return
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(str(settings.CHECKPOINTS_FILE)) as saver:
        saver.serde = SERDE
        yield saver


@pytest.fixture
async def stock(storage: CheckpointStorage) -> AsyncIterator[BaseCheckpointSaver[str]]:
    async with stock_saver(storage) as saver:
        yield saver


def bound(graph: Any, saver: Any) -> Any:
    graph = copy.copy(graph)
    graph.checkpointer = saver
    return graph


def plain(value: Any) -> Any:
    """A snapshot that compares by content, including errors."""
    match value:
        case StateSnapshot():
            return {name: plain(each) for name, each in value._asdict().items()}
        case BaseException():
            return type(value), value.args
        case tuple() if hasattr(value, "_asdict"):
            return {name: plain(each) for name, each in value._asdict().items()}
        case tuple() | list():
            return type(value), [plain(each) for each in value]
        case dict():
            return {name: plain(each) for name, each in value.items()}
    return value


async def both(graph: Any, stock: Any, storage: Any, config: Any, **options: Any) -> list[StateSnapshot]:
    """The history, after a check that both readers agree."""
    before = options.get("before")
    wanted = [
        each
        async for each in bound(graph, stock).aget_state_history(
            config,
            limit=options.get("limit", 100),
            before={"configurable": {"checkpoint_id": before}} if before else None,
            filter=options.get("metadata"),
        )
    ]
    options = {"limit": 100, **options}
    found = [each async for each in history(bound(graph, storage.reader()), config, **options)]
    assert [plain(each) for each in found] == [plain(each) for each in wanted]
    assert [thread_state(each) for each in found if each] == [thread_state(each) for each in wanted]
    return found


@pytest.mark.parametrize("name", SHAPES)
async def test_a_history_is_what_langgraph_reads(
    name: str, storage: Any, stock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick: list[bool] = []
    can = Snapshots.can
    monkeypatch.setattr(Snapshots, "can", lambda self, saved: quick.append(can(self, saved)) or quick[-1])
    shape, config = SHAPES[name], {"configurable": {"thread_id": str(uuid4())}}
    await shape.drive(bound(shape.graph, stock), config)
    found = await both(shape.graph, stock, storage, config)
    assert len(found) == len(quick) > 2
    assert any(quick)
    assert all(quick) == (name not in OTHERWISE)
    names = [each.config["configurable"]["checkpoint_id"] for each in found]
    assert len(await both(shape.graph, stock, storage, config, limit=2)) == 2
    assert len(await both(shape.graph, stock, storage, config, before=names[1])) == len(names) - 2
    by_input = await both(shape.graph, stock, storage, config, metadata={"source": "input"})
    assert [each.metadata["source"] for each in by_input if each.metadata] == ["input"] * len(by_input)
    for space in {
        task.state["configurable"]["checkpoint_ns"]
        for each in found
        for task in each.tasks
        if isinstance(task.state, dict)
    }:
        inner = {"configurable": {**config["configurable"], "checkpoint_ns": space}}
        await both(shape.graph, stock, storage, inner)


@pytest.mark.parametrize(
    "left, right", [(chain, parallel), (parallel, chain), (nested, failing), (failing, nested)]
)
async def test_a_graph_that_has_changed_meanwhile_reads_the_same(
    left: Any, right: Any, storage: Any, stock: Any
) -> None:
    """Some nodes and channels were removed, and others added."""
    config = {"configurable": {"thread_id": str(uuid4())}}
    await SHAPES["failing" if left is failing else "chain"].drive(bound(left, stock), config)
    assert len(await both(right, stock, storage, config)) > 3


async def test_a_subclass_of_langgraphs_graphs_reads_its_own_way(storage: Any, stock: Any) -> None:
    class Own(type(chain)):  # type: ignore[misc]
        async def aget_state_history(self, *args: Any, **options: Any) -> AsyncIterator[str]:
            yield "its own"

    graph = bound(chain, storage.reader())
    graph.__class__ = Own
    found: list[Any] = [each async for each in history(graph, {"configurable": {"thread_id": "t"}}, limit=1)]
    assert found == ["its own"]


async def test_nothing_of_one_state_changes_another(storage: Any, stock: Any) -> None:
    """A reducer that changes its list in place, and updates in pending writes."""
    shape, config = SHAPES["careless"], {"configurable": {"thread_id": str(uuid4())}}
    await shape.drive(bound(shape.graph, stock), config)
    graph = bound(shape.graph, storage.reader())
    for each in [each async for each in history(graph, config, limit=100)]:
        alone = await bound(shape.graph, stock).aget_state(each.config)
        assert each.values == alone.values
