"""Graphs of many shapes, each with operations on a thread, which make histories to read."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.channels import BinaryOperatorAggregate, EphemeralValue, LastValue, Topic, UntrackedValue
from langgraph.channels.delta import DeltaChannel
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.managed import IsLastStep, RemainingSteps
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.types import Command, Send, StateUpdate, interrupt
from pydantic import BaseModel

#: A graph with a saver, and its configuration: the thread.
Drive = Callable[[Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Shape:
    graph: Any
    drive: Drive


class Failed(Exception):
    """An error of a node."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failed) and self.args == other.args

    __hash__ = Exception.__hash__


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    word: str


def says(name: str) -> Callable[[Any], Any]:
    return lambda state: {"log": [name]}


def asks(name: str, *, often: int = 1) -> Callable[[Any], Any]:
    return lambda state: {"log": [f"{name}: {interrupt({'of': name, 'n': n})}" for n in range(often)]}


def fails(state: Any) -> Any:
    raise Failed("as it must")


def graph(nodes: dict[str, Any], *edges: tuple[Any, str], schema: Any = Log, **options: Any) -> Any:
    builder = StateGraph(schema)
    for name, node in nodes.items():
        builder.add_node(name, node)
    for left, right in edges:
        builder.add_edge(left, right)
    return builder.compile(**options)


def runs(*inputs: Any, **options: Any) -> Drive:
    """Runs in sequence; failures are ignored."""

    async def drive(graph: Any, config: Any) -> None:
        for each in inputs:
            with suppress(Failed):
                await graph.ainvoke(deepcopy(each), config, **options)

    return drive


HELLO = {"log": ["in"]}
chain = graph({"a": says("a"), "b": says("b"), "c": says("c")}, (START, "a"), ("a", "b"), ("b", "c"))
forked = [(START, "a"), (START, "b"), ("a", "c"), ("b", "c")]
parallel = graph({"a": says("a"), "b": asks("b"), "c": says("c")}, *forked)
several = graph({"a": asks("a", often=2), "b": asks("b"), "c": fails}, *forked)


async def answered_one_by_one(graph: Any, config: Any) -> None:
    await graph.ainvoke(HELLO, config)
    for _ in range(4):
        state = await graph.aget_state(config)
        if state.interrupts:
            with suppress(Failed):
                await graph.ainvoke(Command(resume={state.interrupts[0].id: "yes"}), config)


failing = graph({"a": says("a"), "b": fails, "c": says("c")}, *forked)


async def edited(graph: Any, config: Any) -> None:
    await graph.ainvoke(HELLO, config)
    await graph.aupdate_state(config, {"log": ["edit"]}, as_node="a")
    await graph.ainvoke(None, config)
    past = [state async for state in graph.aget_state_history(config)][3]
    place = await graph.aupdate_state(past.config, {"word": "fork"}, as_node="b")
    await graph.ainvoke(None, place)
    await graph.aupdate_state(config, None)
    await graph.aupdate_state(config, None, as_node=END)
    await graph.abulk_update_state(
        config,
        [[StateUpdate({"log": ["x"]}, "a"), StateUpdate({"log": ["y"]}, "b")], [StateUpdate(HELLO, "c")]],
    )
    await graph.ainvoke(None, past.config)


async def stopped(graph: Any, config: Any) -> None:
    await graph.ainvoke(HELLO, config, interrupt_before=["b"])
    await graph.ainvoke(None, config, interrupt_after=["b"])
    await graph.ainvoke({"log": ["more"]}, config, interrupt_before="*", durability="exit")
    await graph.ainvoke(Command(update={"word": "by command"}, goto="c"), config)
    await graph.ainvoke(Command(goto=[Send("a", {"log": ["sent"]}), "b"]), config)


inner = graph({"in": says("in"), "ask": asks("inner")}, (START, "in"), ("in", "ask"))
nested = graph({"a": says("a"), "sub": inner, "c": says("c")}, (START, "a"), ("a", "sub"), ("sub", "c"))
keeping = graph(
    {"sub": graph({"in": says("in"), "ask": asks("kept")}, (START, "in"), ("in", "ask"), checkpointer=True)},
    (START, "sub"),
)
twice = graph({"outer": nested, "b": says("b")}, (START, "outer"), (START, "b"))


def scatter(state: Any) -> list[Send]:
    return [Send(name, {"word": f"{name}{n}"}) for n, name in enumerate(("one", "other", "one", "bad"))]


def sends() -> Any:
    builder = StateGraph(Log)
    builder.add_node("begin", says("begin"))
    builder.add_node("one", lambda state: {"log": [state["word"]]})
    builder.add_node("other", lambda state: {"log": [interrupt(state["word"])]})
    builder.add_node("bad", fails)
    builder.add_node("gather", says("gather"), defer=True)
    builder.add_edge(START, "begin")
    builder.add_conditional_edges("begin", scatter, ["one", "other", "bad"])
    builder.add_edge(["one", "other"], "gather")
    return builder.compile()


def deferred() -> Any:
    builder = StateGraph(Log)
    for name in ("a", "b", "b2"):
        builder.add_node(name, says(name))
    builder.add_node("last", says("last"), defer=True)
    for left, right in ((START, "a"), (START, "b"), ("b", "b2"), ("a", "last"), ("b2", "last")):
        builder.add_edge(left, right)
    return builder.compile()


def looping() -> Any:
    builder = StateGraph(Log)
    builder.add_node("again", lambda state: Command(update={"log": ["again"]}, goto="check"))
    builder.add_node("check", lambda state: {"word": str(len(state["log"]))})
    builder.add_edge(START, "again")
    builder.add_conditional_edges("check", lambda state: END if len(state["log"]) > 3 else "again")
    return builder.compile()


talk = graph(
    {"say": lambda state: {"messages": [AIMessage(f"answer {len(state['messages'])}", id=str(len(state["messages"])))]}},
    (START, "say"),
    schema=MessagesState,
)  # fmt: skip


class Model(BaseModel):
    log: Annotated[list[str], operator.add] = []
    number: int = 3


@dataclass
class Data:
    log: Annotated[list[str], operator.add]
    number: int = 3


def counted(state: Any) -> Any:
    return {"log": ["n"], "number": state.number + 1}


class Narrow(TypedDict):
    log: list[str]


class Wide(Log, total=False):
    hidden: str
    last: IsLastStep
    left: RemainingSteps
    fleeting: Annotated[str, UntrackedValue]
    once: Annotated[str, EphemeralValue]


def narrowed() -> Any:
    builder = StateGraph(Wide, input_schema=Narrow, output_schema=Narrow)
    builder.add_node(
        "a", lambda state: {"log": [str(state["left"])], "hidden": "h", "fleeting": "f", "once": "o"}
    )
    builder.add_node("b", lambda state: {"log": [f"{state.get('once')} {state['last']}"]})
    builder.add_edge(START, "a")
    builder.add_edge("a", "b")
    return builder.compile()


def extend(kept: list[str], added: list[str]) -> list[str]:
    """A reducer that wrongly changes its argument."""
    kept.extend(added)
    return kept


class Careless(TypedDict, total=False):
    log: Annotated[list[str], extend]
    word: str


careless = graph({"a": says("a"), "b": asks("b")}, (START, "a"), ("a", "b"), schema=Careless)
careless_runs = runs(
    HELLO,
    Command(update={"log": ["u"], "word": "w"}),
    Command(resume="yes", update={"log": ["v"]}),
    Command(update={"log": ["x"]}, goto="b"),
)


def gather(notes: list[str], added: Any) -> list[str]:
    return notes + [note for each in added for note in each]


class Notes(TypedDict, total=False):
    often: Annotated[list[str], DeltaChannel(gather, snapshot_frequency=3)]
    never: Annotated[list[str], DeltaChannel(gather)]


def notes(name: str) -> Callable[[Any], Any]:
    return lambda state: {"often": [name], "never": [name]}


delta = graph({name: notes(name) for name in "abc"}, (START, "a"), ("a", "b"), ("b", "c"), schema=Notes)


@task
def double(number: int) -> int:
    return number * 2


@entrypoint()
async def functional(number: int, *, previous: int | None = None) -> Any:
    doubled = [await double(number), await double(number + 1)]
    if number > 1:
        doubled.append(interrupt("more?"))
    return entrypoint.final(value=sum(doubled[:2]), save=(previous or 0) + 1)


raw: Any = Pregel(
    nodes={
        "one": NodeBuilder().subscribe_only("in").do(lambda text: text + "!").write_to("middle", "all"),
        "two": NodeBuilder().subscribe_to("middle").read_from("sum").do(lambda each: each.get("middle")).write_to("out", "all"),
        "three": NodeBuilder().subscribe_only("all").do(len).write_to("sum"),
    },
    channels={
        "in": EphemeralValue(str),
        "middle": LastValue(str),
        "all": Topic(str, accumulate=True),
        "sum": BinaryOperatorAggregate(int, operator.add),
        "out": LastValue(str),
    },
    input_channels=["in"],
    output_channels=["out", "sum"],
    stream_channels=["out", "sum", "all"],
)  # fmt: skip

QUESTION = {"messages": [HumanMessage("hi", id="h")]}
SHAPES = {
    "chain": Shape(chain, runs(HELLO, HELLO, durability="sync")),
    "at the exit": Shape(chain, runs(HELLO, HELLO, HELLO, durability="exit")),
    "parallel": Shape(parallel, runs(HELLO, Command(resume="yes"), HELLO)),
    "several questions": Shape(several, answered_one_by_one),
    "an answer for nobody": Shape(chain, runs(HELLO, Command(resume="nobody"))),
    "failing": Shape(failing, runs(HELLO, None, HELLO)),
    "edited": Shape(chain, edited),
    "stopped": Shape(chain, stopped),
    "nested": Shape(nested, runs(HELLO, Command(resume="yes"), HELLO)),
    "keeping": Shape(keeping, runs(HELLO, Command(resume="yes"), HELLO)),
    "nested twice": Shape(twice, runs(HELLO, Command(resume="yes"))),
    "sends": Shape(sends(), runs(HELLO, None, Command(resume="yes"))),
    "deferred": Shape(deferred(), runs(HELLO, HELLO)),
    "looping": Shape(looping(), runs(HELLO)),
    "messages": Shape(talk, runs(QUESTION, {"messages": [HumanMessage("bye", id="b")]})),
    "pydantic": Shape(graph({"a": counted}, (START, "a"), schema=Model), runs({"log": ["x"]}, {"number": 7})),
    "dataclass": Shape(graph({"a": counted}, (START, "a"), schema=Data), runs({"log": ["x"]}, {"number": 7})),
    "a list alone": Shape(
        graph({"a": lambda state: ["a"]}, (START, "a"), schema=Annotated[list[str], operator.add]), runs(["in"])
    ),
    "narrowed": Shape(narrowed(), runs({"log": ["x"]}, {"log": ["y"]})),
    "careless": Shape(careless, careless_runs),
    "delta": Shape(delta, runs({"often": ["in"], "never": ["in"]}, {"often": ["in"]})),
    "functional": Shape(functional, runs(1, 2, Command(resume="yes"), 3)),
    "raw": Shape(raw, runs({"in": "x"}, {"in": "y"})),
}  # fmt: skip
