"""Resuming under changed code: only runs that need removed nodes end, with a clear error."""

from __future__ import annotations

import operator
import time
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, interrupt

from deerflow_site.graphs import agent
from runs.execution.invocation import goes_on
from runs.graphs.compatibility import missing, missing_anywhere, root_of
from tests.support import graphs
from tests.support.code_versions import GRAPHS
from tests.support.driving import Driver


def config_of(run_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": "1", "run_id": run_id}}


CONFIG = config_of("first")
NEXT = config_of("second")


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


Edge = tuple[str | Sequence[str], str]


class Broken(Exception):
    """A node's failure, instead of a process's."""


def build(*edges: Edge, sends: dict[str, str] | None = None, fails: str = "", defer: str = "") -> Any:
    """A graph of these edges. `sends` = {source: target of two Sends}; `fails` names a node that raises."""
    builder = StateGraph(State)
    names = {right for _, right in edges}
    names |= {name for left, _ in edges for name in ([left] if isinstance(left, str) else left)}
    names |= {*(sends or {}), *(sends or {}).values()}

    def step(name: str) -> Any:
        def run(state: State) -> dict[str, Any]:
            if name == fails:
                # Its siblings must have finished by then.
                time.sleep(0.05)
                raise Broken
            return {"log": [name]}

        return run

    for name in sorted(names - {START, END}):
        builder.add_node(name, step(name), defer=name == defer)
    for left, right in edges:
        builder.add_edge(left if isinstance(left, str) else list(left), right)
    for source, target in (sends or {}).items():
        builder.add_conditional_edges(
            source, lambda state, target=target: [Send(target, state)] * 2, [target]
        )
    return builder


def lacks(old: Any, new: Any, *, before: str | None = None) -> list[str]:
    """What `new` lacks where a run of `old` stopped: before a node, or where one failed."""
    saver = InMemorySaver()
    compiled = old.compile(checkpointer=saver, interrupt_before=[before] if before else [])
    try:
        compiled.invoke({"log": []}, CONFIG)
    except Broken:
        assert before is None
    found = saver.get_tuple(CONFIG)
    assert found is not None
    assert missing(found, old.compile()) == []
    return missing(found, new.compile())


LINE = [(START, "a"), ("a", "b"), ("b", "c")]
LINE_2 = [(START, "a"), ("a", "b2"), ("b2", "c")]
JOINED = [(START, "a"), (START, "b"), (("a", "b"), "c")]
JOINED_2 = [(START, "a"), (START, "b"), (("a", "b"), "c2")]
LONG = [(START, "a"), (START, "b"), ("b", "b1"), (("a", "b1"), "c")]
LONG_2 = [(START, "a"), (START, "b"), ("b", "b1"), (("a", "b1"), "c2")]


def test_a_node_that_comes_next_and_is_gone() -> None:
    assert lacks(build(*LINE), build(*LINE_2), before="b") == ["node 'b'"]


def test_a_node_that_failed_and_is_gone() -> None:
    assert lacks(build(*LINE, fails="b"), build(*LINE_2)) == ["node 'b'"]


def test_a_node_that_is_gone_but_was_done_or_is_yet_to_come() -> None:
    assert lacks(build(*LINE), build(*LINE_2), before="c") == []
    assert lacks(build(*LINE), build(*LINE_2), before="a") == []
    assert lacks(build(*LINE), build(*LINE_2)) == []


def test_a_thread_that_has_only_its_input() -> None:
    saver = InMemorySaver()
    build(*LINE).compile(checkpointer=saver).invoke({"log": []}, CONFIG)
    *_, first = saver.list(CONFIG)
    assert first.metadata["source"] == "input"
    elsewhere = build((START, "z")).compile()
    # Whether the first edge was taken: then LangGraph does not take it again.
    assert missing(first, elsewhere) == ["node 'a'"]
    assert missing(first._replace(pending_writes=[]), elsewhere) == []


def test_a_node_after_several_others() -> None:
    assert lacks(build(*JOINED), build(*JOINED_2), before="c") == ["node 'c'"]
    # One has arrived, the other is still pending.
    assert lacks(build(*LONG), build(*LONG_2), before="b1") == ["node 'c'"]
    assert lacks(build(*LONG, fails="b"), build(*LONG_2)) == ["node 'c'"]
    assert lacks(build(*JOINED), build(*JOINED_2)) == []


def test_an_edge_that_was_taken_and_is_gone() -> None:
    apart = build((START, "a"), (START, "b"), ("a", "c"), ("b", "c"))
    assert lacks(build(*JOINED), apart, before="c") == ["the edge from 'a+b' to 'c'"]
    # `b` is executed by the new code, and continues by its edge.
    assert lacks(build(*JOINED, fails="b"), apart) == []


def test_a_node_that_waits_for_the_end_of_all_others() -> None:
    old = [(START, "a"), (START, "z"), ("a", "b"), ("b", "c")]
    new = [(START, "a"), (START, "z2"), ("a", "b"), ("b", "c")]
    assert lacks(build(*old, defer="z"), build(*new, defer="z2"), before="b") == ["node 'z'"]
    assert lacks(build(*old, defer="z"), build(*new, defer="z2"), before="z") == ["node 'z'"]
    assert lacks(build(*old, defer="z"), build(*new, defer="z2")) == []
    assert lacks(build(*JOINED, defer="c"), build(*JOINED_2, defer="c2"), before="c") == ["node 'c'"]


def test_what_was_sent_to_a_node_that_is_gone() -> None:
    old, new = build((START, "a"), sends={"a": "b"}), build((START, "a"), sends={"a": "b2"})
    assert lacks(old, new, before="b") == ["node 'b'"]
    assert lacks(old, new) == []


def test_what_a_finished_node_wants_next_while_its_sibling_is_not_done() -> None:
    sides = [(START, "a"), (START, "slow")]
    assert lacks(build(*sides, ("a", "b"), fails="slow"), build(*sides, ("a", "b2"))) == ["node 'b'"]
    assert lacks(build(*sides, sends={"a": "b"}, fails="slow"), build(*sides, sends={"a": "b2"})) == [
        "node 'b'"
    ]


def test_a_node_that_a_command_chose() -> None:
    def chooser(target: str) -> Any:
        def choose(state: State) -> Command[Any]:
            return Command(update={"log": ["a"]}, goto=target)

        builder = StateGraph(State)
        builder.add_node("a", choose, destinations=(target,))
        builder.add_node(target, lambda state: {"log": [target]})
        return builder.add_edge(START, "a")

    assert lacks(chooser("b"), chooser("b2"), before="b") == ["node 'b'"]


def test_what_an_earlier_input_left_over_is_nobody_s_next_step() -> None:
    """Savers restore the values of channels that the code in between did not know."""
    saver = InMemorySaver()
    build(*LONG).compile(checkpointer=saver, interrupt_before=["b1"]).invoke({"log": []}, CONFIG)
    left = saver.get_tuple(CONFIG)
    assert left is not None
    new = build(*LONG_2).compile(checkpointer=saver, interrupt_before=["b1"])
    new.invoke({"log": []}, NEXT)
    found = saver.get_tuple(CONFIG)
    assert found is not None
    join = "join:a+b1:c"
    assert found.checkpoint["channel_values"][join] == left.checkpoint["channel_values"][join] == {"a"}
    assert missing(found, new) == []


async def test_a_node_inside_a_subgraph() -> None:
    def nested(name: str, *, at: str = "") -> Any:
        child = build((START, "x"), ("x", name)).compile(interrupt_before=[at] if at else [])
        middle = StateGraph(State).add_node("child", child).add_edge(START, "child").compile()
        return StateGraph(State).add_node("middle", middle).add_edge(START, "middle")

    saver = InMemorySaver()
    await nested("y", at="y").compile(checkpointer=saver).ainvoke({"log": []}, CONFIG)
    same, new = nested("y").compile(checkpointer=saver), nested("y2").compile(checkpointer=saver)
    assert await missing_anywhere(same, saver, CONFIG) == {}
    assert list((await missing_anywhere(new, saver, CONFIG)).values()) == [["node 'y'"]]
    # A new input abandons the subgraph's unfinished step.
    await new.ainvoke({"log": []}, NEXT)
    assert await missing_anywhere(new, saver, CONFIG) == {}


# --- no false alarm, at any point


class Watched(InMemorySaver):
    """Checks after each write whether the graph could resume from there."""

    graph: Any = None
    looked = 0

    async def aput(self, *args: Any) -> RunnableConfig:
        saved = await super().aput(*args)
        await self._look()
        return saved

    async def aput_writes(self, *args: Any, **options: Any) -> None:
        await super().aput_writes(*args, **options)
        await self._look()

    async def _look(self) -> None:
        self.looked += 1
        assert await missing_anywhere(self.graph, self, CONFIG) == {}


def routed() -> Any:
    """Conditional edges, commands and a subgraph that leaves to its parent."""

    def leave(state: State) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="last", update={"log": ["leave"]})

    def decide(state: State) -> Command[Literal["left", "child"]]:
        return Command(goto=["left", "child"], update={"log": ["decide"]})

    child = StateGraph(State).add_node("leave", leave).add_edge(START, "leave").compile()
    builder = build((START, "a"), ("left", "last"))
    builder.add_node("decide", decide)
    builder.add_node("child", child)
    builder.add_conditional_edges("a", lambda state: "decide", ["decide", "left"])
    return builder.compile()


def chosen_in_a_node() -> Any:
    """Two subgraphs with different nodes, called by one node in sequence."""
    short = build((START, "x")).compile()
    long = build((START, "x"), ("x", "y"), ("y", "z")).compile()

    async def call(state: State, config: RunnableConfig) -> dict[str, Any]:
        await long.ainvoke({"log": []}, config)
        await short.ainvoke({"log": []}, config)
        return {"log": ["call"]}

    return StateGraph(State).add_node("call", call).add_edge(START, "call").compile()


def functional() -> Any:
    @task
    async def double(number: int) -> int:
        return number * 2

    @entrypoint()
    async def flow(state: dict[str, Any]) -> list[Any]:
        doubled = [await double(number) for number in range(3)]
        return [*doubled, interrupt("more?")]

    return flow


EVERY_GRAPH: dict[str, Any] = {
    **{
        name: getattr(graphs, name)
        for name in ("steps", "parallel", "questions", "failing", "nested", "sleeping")
    },
    "asking": graphs.asking,
    "talking": graphs.talking,
    "agent": agent.graph,
    "routed": routed(),
    "chosen_in_a_node": chosen_in_a_node(),
    "functional": functional(),
    "sends": build((START, "a"), sends={"a": "b"}).compile(),
    "deferred": build(*JOINED, (START, "d"), ("d", "e"), defer="c").compile(),
    "breakpoints": build(*LONG).compile(interrupt_before=["c"], interrupt_after=["a", "b1"]),
}
QUESTION = {"role": "user", "content": "How do leases and heartbeats find a dead worker?"}


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.parametrize("name", EVERY_GRAPH)
async def test_unchanged_code_goes_on_from_everywhere(
    name: str, durability: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_DELAY", "0")
    monkeypatch.delenv("AGENT_MODEL", raising=False)
    saver = Watched()
    saver.graph = EVERY_GRAPH[name].copy(update={"checkpointer": saver})
    given: Any = {"messages": [QUESTION]} if name in ("agent", "talking") else {"log": []}
    for config in (CONFIG, NEXT):
        source = given
        for _ in range(8):
            try:
                await saver.graph.ainvoke(source, config, durability=durability)
            except ValueError:
                break
            state = await saver.graph.aget_state(CONFIG)
            if not state.next:
                break
            answer: Any = "approve" if name == "agent" else "yes"
            source = (
                Command(resume={each.id: answer for each in state.interrupts}) if state.interrupts else None
            )
        else:
            raise AssertionError("The graph does not end.")
    assert saver.looked > 3


def test_what_goes_on_from_where_the_thread_stands() -> None:
    assert goes_on({"input": None})
    assert goes_on({"input": None, "command": {"resume": "yes"}})
    assert goes_on({"input": None, "command": {"update": {"log": []}}})
    assert not goes_on({"input": {"log": []}})
    assert not goes_on({"input": None, "command": {"goto": "c"}})


# --- in the server


@pytest.fixture(autouse=True)
def versions(run_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_settings(GRAPHS=GRAPHS)
    monkeypatch.setenv("CODE_VERSION", "old")


async def stopped_at(driver: Driver, graph: str, node: str) -> Any:
    """A run that was cancelled during `node`."""
    from runs.lifecycle.cancellation import cancel_run

    run = await driver.start(graph, {"log": [], "delay": 0.2})
    await driver.executing(run, node)
    await cancel_run(run.id, thread_id=run.thread_id, principal=driver.principal, action="interrupt")
    return await driver.finish(run)


@pytest.mark.parametrize(
    ("graph", "node", "after"), [("renamed", "b", ["b", "c"]), ("renamed_inside", "y", ["y", "last"])]
)
async def test_a_thread_that_waits_for_a_node_that_is_gone_says_so_and_goes_on_under_the_old_code(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, graph: str, node: str, after: list[str]
) -> None:
    stopped = await stopped_at(driver, graph, node)
    monkeypatch.setenv("CODE_VERSION", "new")
    refused = await driver.finish(await driver.go_on(graph, thread=stopped.thread_id))
    assert refused.status == "error"
    assert refused.error["error"] == "NodeGone"
    assert f"node {node!r}" in refused.error["message"]
    assert f"graph {graph!r}" in refused.error["message"]
    assert refused.thread.status == "error"
    assert refused.thread.error == refused.error
    assert driver.executions(refused) == Counter()
    monkeypatch.setenv("CODE_VERSION", "old")
    went_on = await driver.finish(await driver.go_on(graph, thread=stopped.thread_id))
    assert went_on.status == "success"
    assert list(driver.executions(went_on)) == after


async def test_an_answer_to_a_node_that_is_gone_is_not_lost(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await driver.finish(await driver.start("renamed_question"))
    monkeypatch.setenv("CODE_VERSION", "new")
    refused = await driver.finish(await driver.resume("renamed_question", "yes", thread=asked.thread_id))
    assert (refused.status, refused.error["error"]) == ("error", "NodeGone")
    assert refused.thread.interrupts == asked.thread.interrupts
    assert asked.thread.interrupts
    monkeypatch.setenv("CODE_VERSION", "old")
    answered = await driver.finish(await driver.resume("renamed_question", "yes", thread=asked.thread_id))
    assert answered.status == "success"
    assert answered.thread.values["log"] == ["before", "answer=yes"]


@pytest.mark.parametrize("how", ["input", "goto"])
async def test_who_says_where_to_go_is_not_held_up(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    stopped = await stopped_at(driver, "renamed", "b")
    monkeypatch.setenv("CODE_VERSION", "new")
    given: dict[str, Any] = {"input": {"log": []}} if how == "input" else {"command": {"goto": "b2"}}
    run = await driver.finish(await driver.start("renamed", thread=stopped.thread_id, **given))
    assert run.status == "success"
    assert list(driver.executions(run)) == (["a", "b2", "c"] if how == "input" else ["b2", "c"])


async def test_the_first_run_of_a_thread_reads_no_checkpoint(driver: Driver) -> None:
    storage = driver.runtime.storage
    reads: list[Any] = []

    class Counting(type(storage.reader())):  # type: ignore[misc]
        async def aget_tuple(self, config: RunnableConfig) -> Any:
            reads.append(config)
            return await super().aget_tuple(config)

    reader: BaseCheckpointSaver[str] = storage.reader()
    reader.__class__ = Counting
    storage.__dict__["reader"] = lambda: reader
    assert (await driver.finish(await driver.start("renamed"))).status == "success"
    assert reads == []


def test_a_graph_may_be_anything_that_langgraph_compiles() -> None:
    assert all(isinstance(graph, Pregel) for graph in EVERY_GRAPH.values())


def test_the_root_of_a_subgraphs_checkpoint_is_the_one_that_its_address_names() -> None:
    place = {
        "thread_id": "t",
        "checkpoint_ns": "sub:1",
        "checkpoint_id": "c",
        "checkpoint_map": {"": "r", "sub:1": "c"},
    }
    root = root_of({"configurable": place})["configurable"]
    assert (root["checkpoint_ns"], root["checkpoint_id"]) == ("", "r")
    newest = root_of({"configurable": {"thread_id": "t", "checkpoint_ns": "sub:1"}})["configurable"]
    assert (newest["checkpoint_ns"], newest["checkpoint_id"]) == ("", None)
    assert root_of({"configurable": {"thread_id": "t"}}) == {"configurable": {"thread_id": "t"}}
