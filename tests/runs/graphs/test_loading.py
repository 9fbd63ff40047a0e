"""The loading of graphs: once if they are static, for each use if a factory makes them."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from runs import graphs
from tests.runs.graphs.samples import GRAPH, Write, ids, label_of, opened, with_graphs


async def test_a_static_graph_is_the_same_object_each_time(write: Write) -> None:
    write("mine.py", GRAPH)
    with with_graphs(a="mine:graph"):
        assert await opened("a") is await opened("a") is sys.modules["mine"].graph


async def test_a_graph_that_is_not_compiled_is_compiled_once(write: Write) -> None:
    write("mine.py", GRAPH + "\n    builder = build('compiled')\n")
    with with_graphs(a="mine:builder"):
        assert await label_of("a") == "compiled"
        assert await opened("a") is await opened("a")


async def test_an_attribute_of_an_object_can_be_named(write: Write) -> None:
    write("mine.py", GRAPH + "\n    class Agents:\n        first = graph\n")
    with with_graphs(a="mine:Agents.first"):
        assert await label_of("a") == "plain"


FACTORIES = """
    import contextlib
    import functools
    from langchain_core.runnables import RunnableConfig
    from langgraph_sdk.runtime import ServerRuntime

    log = []

    def none(): return build("none")
    def config(config): return build(config["configurable"]["label"])
    def other_name(anything): return build(anything["configurable"]["label"])
    def annotated(anything: RunnableConfig | None = None): return build(anything["configurable"]["label"])
    def text(anything: "RunnableConfig"): return build(anything["configurable"]["label"])
    def positional(c, r, /): return build(c["configurable"]["label"] + r)
    def both(config, runtime): return build(config["configurable"]["label"] + runtime)
    def swapped(runtime, config): return build(config["configurable"]["label"] + runtime)
    def unnamed(one, two): return build(one["configurable"]["label"] + two)
    def keywords(*args, runtime, config, **kwargs): return build(config["configurable"]["label"] + runtime)
    def only_runtime(anything: ServerRuntime[None]): return build(anything)
    def with_default(config, *, model="m"): return build(config["configurable"]["label"] + model)
    async def asynchronous(config): return build(config["configurable"]["label"]).compile()
    partial = functools.partial(both, runtime="partial")

    class Callable:
        def __call__(self, config): return build(config["configurable"]["label"])

    instance = Callable()

    @contextlib.asynccontextmanager
    async def async_manager(config):
        log.append("open")
        try:
            yield build(config["configurable"]["label"])
        finally:
            log.append("close")

    @contextlib.contextmanager
    def manager(config):
        log.append("open")
        try:
            yield build(config["configurable"]["label"])
        finally:
            log.append("close")

    async def async_generator(config):
        log.append("open")
        try:
            yield build(config["configurable"]["label"])
        finally:
            log.append("close")

    def generator(config):
        log.append("open")
        try:
            yield build(config["configurable"]["label"])
        finally:
            log.append("close")
"""


@pytest.mark.parametrize(
    ("factory", "answer"),
    [
        ("none", "none"),
        ("config", "C"),
        ("other_name", "C"),
        ("annotated", "C"),
        ("text", "C"),
        ("positional", "CR"),
        ("both", "CR"),
        ("swapped", "CR"),
        ("unnamed", "CR"),
        ("keywords", "CR"),
        ("only_runtime", "R"),
        ("with_default", "Cm"),
        ("asynchronous", "C"),
        ("partial", "CR"),
        ("instance", "C"),
        ("async_manager", "C"),
        ("manager", "C"),
        ("async_generator", "C"),
        ("generator", "C"),
    ],
)
async def test_a_factory_gets_what_its_signature_asks_for(write: Write, factory: str, answer: str) -> None:
    write("mine.py", GRAPH + FACTORIES)
    with with_graphs(a=f"mine:{factory}"):
        assert await label_of("a", {"configurable": {"label": "C"}}, "R") == answer


async def test_a_factory_is_called_for_each_use_with_the_config_of_that_use(write: Write) -> None:
    write("mine.py", GRAPH + FACTORIES)
    with with_graphs(a="mine:config"):
        answers = [await label_of("a", {"configurable": {"label": label}}) for label in ("one", "two")]
        assert answers == ["one", "two"]


@pytest.mark.parametrize("factory", ["async_manager", "manager", "async_generator", "generator"])
async def test_what_a_factory_opened_is_closed_after_the_use(write: Write, factory: str) -> None:
    write("mine.py", GRAPH + FACTORIES)
    with with_graphs(a=f"mine:{factory}"):
        async with graphs.open_graph("a", {"configurable": {"label": "C"}}):
            assert sys.modules["mine"].log == ["open"]
        assert sys.modules["mine"].log == ["open", "close"]
        with pytest.raises(ZeroDivisionError):
            async with graphs.open_graph("a", {"configurable": {"label": "C"}}):
                raise ZeroDivisionError
        assert sys.modules["mine"].log == ["open", "close"] * 2


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
async def test_a_factory_that_swallows_what_ended_the_run_cannot_hide_it(
    write: Write, error: type[BaseException]
) -> None:
    write(
        "mine.py",
        GRAPH
        + """
    async def greedy():
        try:
            yield graph
        except BaseException:
            pass
    """,
    )
    with with_graphs(a="mine:greedy"), pytest.raises(error):
        async with graphs.open_graph("a", {}):
            raise error


async def test_a_run_is_not_blamed_on_its_factory(write: Write) -> None:
    write("mine.py", GRAPH + FACTORIES)
    with with_graphs(a="mine:none"), pytest.raises(ValueError, match="of the run"):
        async with graphs.open_graph("a", {}):
            raise ValueError("of the run")


def test_threads_that_need_a_graph_at_once_import_it_once(write: Write, tmp_path: Path) -> None:
    slow = f"""
    import pathlib, time
    with pathlib.Path({str(tmp_path / "imports")!r}).open("a") as file:
        file.write("x")
    time.sleep(0.05)
    """
    write("mine.py", slow + GRAPH.replace("graph = build().compile()", "builder = build()"))
    found = []
    with with_graphs(a="mine:builder"):
        threads = [threading.Thread(target=lambda: found.append(asyncio.run(opened("a")))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (tmp_path / "imports").read_text() == "x"
    assert len(found) == 8 and len(set(map(id, found))) == 1


async def test_a_changed_setting_is_seen_at_once(write: Write) -> None:
    write("mine.py", GRAPH + FACTORIES)
    with with_graphs(a="mine:graph"):
        assert await label_of("a") == "plain"
        with with_graphs(a="mine:none"):
            assert await label_of("a") == "none"
        assert await label_of("a") == "plain"


@pytest.mark.parametrize("own", ["InMemorySaver()", "True", "False"])
@pytest.mark.parametrize("kind", ["static", "factory"])
async def test_the_servers_checkpointer_wins_over_the_graphs_own(
    write: Write, caplog: pytest.LogCaptureFixture, own: str, kind: str
) -> None:
    write(
        "mine.py",
        GRAPH
        + f"""
    from langgraph.checkpoint.memory import InMemorySaver

    saver = {own}
    static = build().compile(checkpointer=saver)
    def factory(): return build().compile(checkpointer=saver)
    """,
    )
    ours = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t", "__pregel_checkpointer": ours}}
    with with_graphs(a=f"mine:{kind}"), caplog.at_level(logging.WARNING):
        for _ in range(2):
            async with graphs.open_graph("a", config) as graph:
                assert graph.checkpointer is None
                await graph.ainvoke({}, config)
        assert list(ours.list(config)), "nothing was saved in the server's storage"
        saver = sys.modules["mine"].saver
        assert isinstance(saver, bool) or not list(saver.list(config))
        assert ids() == ["runs.W001"]
        assert len(caplog.records) == (1 if kind == "factory" else 0)
        graphs.load_all()
        assert "checkpointer" in caplog.text


async def test_a_graph_without_its_checkpointer_still_answers_in_its_schema(write: Write) -> None:
    write(
        "mine.py",
        """
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, StateGraph
    from pydantic import BaseModel

    class State(BaseModel):
        value: int = 0

    builder = StateGraph(State)
    builder.add_node("node", lambda state: {"value": 1})
    builder.add_edge(START, "node")
    graph = builder.compile(checkpointer=InMemorySaver())
    """,
    )
    with with_graphs(a="mine:graph"):
        output = await (await opened("a")).ainvoke({}, version="v2")
        assert output.value == sys.modules["mine"].State(value=1)
