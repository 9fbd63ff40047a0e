"""Which classes a checkpoint may restore."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs import graphs
from runs.graphs import homes
from tests.runs.graphs.samples import GRAPH, Write, with_graphs, with_json

STATE = """
    import dataclasses, enum
    from collections.abc import Mapping, Sequence
    from typing import Annotated, Any, NamedTuple, Optional, TypedDict
    from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
    from langgraph.graph import START, StateGraph
    from langgraph.graph.message import add_messages
    from pydantic import BaseModel, SecretStr

    class Kind(enum.Enum):
        ONE = "one"

    class Point(NamedTuple):
        x: int
        y: int

    class Animal(BaseModel):
        name: str

    class Dog(Animal):
        kind: Kind = Kind.ONE

    @dataclasses.dataclass
    class Leaf:
        animal: Animal
        kind: Kind

    @dataclasses.dataclass
    class Tree:
        leaves: "list[Leaf]"
        by_name: Mapping[str, Optional[Point]]

    class Inner(BaseModel):
        note: str = ""

    from theirs import Unnamed

    class State(TypedDict, total=False):
        tree: Tree
        pairs: Sequence[dict[str, Leaf | Kind] | None]
        secret: SecretStr
        anything: Any
        messages: Annotated[list[AnyMessage], add_messages]

    class InnerState(TypedDict, total=False):
        inner: Inner

    def fill(state):
        leaf = Leaf(Dog(name="Rex"), Kind.ONE)
        return {
            "tree": Tree([leaf], {"here": Point(1, 2)}),
            "pairs": [{"one": leaf, "two": Kind.ONE}, None],
            "secret": SecretStr("hush"),
            "anything": Unnamed(note="x"),
            "messages": [HumanMessage("hello", id="1"), AIMessage("hi", id="2")],
        }

    inner = StateGraph(InnerState)
    inner.add_node("inner", lambda state: {"inner": Inner(note="in")})
    inner.add_edge(START, "inner")
    outer = StateGraph(State)
    outer.add_node("fill", fill)
    outer.add_node("sub", inner.compile())
    outer.add_edge(START, "fill")
    outer.add_edge("fill", "sub")
    graph = outer.compile()
    def make(): return outer.compile()
"""

#: A library's module.
THEIRS = """
    from pydantic import BaseModel

    class Unnamed(BaseModel):
        note: str = ""

    class Other(BaseModel): ...
"""


@pytest.fixture(autouse=True)
def library(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write("library/theirs.py", THEIRS).parent
    monkeypatch.syspath_prepend(folder)
    libraries = (*homes._libraries(), str(folder))
    monkeypatch.setattr(homes, "_libraries", lambda: libraries)


async def restored(name: str) -> dict[str, Any]:
    """The state of a finished run of the graph, as a later process reads it."""
    config: Any = {"configurable": {"thread_id": "t"}}
    async with graphs.open_graph(name, config) as graph:
        serializer = JsonPlusSerializer(allowed_msgpack_modules=graphs.checkpoint_types(graph))
        config["configurable"]["__pregel_checkpointer"] = InMemorySaver(serde=serializer)
        await graph.ainvoke({}, config)
        return (await graph.aget_state(config)).values


@pytest.mark.parametrize("name", ["graph", "make"])
async def test_classes_that_a_graphs_schema_names_survive_a_checkpoint(write: Write, name: str) -> None:
    write("mine.py", STATE)
    with with_graphs(a=f"mine:{name}"):
        values = await restored("a")
        expected = sys.modules["mine"].fill({})
        for key in ("tree", "pairs", "secret", "messages"):
            assert values[key] == expected[key]
        assert type(values["tree"].leaves[0].animal) is sys.modules["mine"].Dog
        assert ("mine", "Inner") in graphs.checkpoint_types(), "a subgraph's schema counts too"


async def test_a_class_of_a_library_that_no_schema_names_is_not_restored(write: Write) -> None:
    write("mine.py", STATE)
    with with_graphs(a="mine:graph"):
        assert (await restored("a"))["anything"] == {"note": "x"}
        assert ("theirs", "Unnamed") not in graphs.checkpoint_types()


@pytest.mark.parametrize("entry", ["theirs", "theirs:Unnamed"])
async def test_a_class_that_the_setting_names_is_restored(write: Write, entry: str) -> None:
    write("mine.py", STATE)
    with override_settings(RUNS={"GRAPHS": {"a": "mine:graph"}, "CHECKPOINT_MODULES": [entry]}):
        assert (await restored("a"))["anything"] == sys.modules["theirs"].Unnamed(note="x")


@pytest.mark.parametrize("entry", ["theirs", "theirs:Unnamed", ["theirs", "Unnamed"]])
async def test_a_class_that_a_langgraph_json_names_is_restored(write: Write, entry: Any) -> None:
    write("mine.py", STATE)
    serde = {"allowed_msgpack_modules": [entry], "pickle_fallback": False}
    with with_json(write, {"graphs": {"a": "mine:graph"}, "checkpointer": {"serde": serde, "ttl": {}}}):
        assert (await restored("a"))["anything"] == sys.modules["theirs"].Unnamed(note="x")
        (warning,) = graphs.problems()
        assert warning.msg.endswith("ignored: checkpointer.ttl, checkpointer.serde.pickle_fallback.")


@pytest.mark.parametrize("named", [True, ["no_such_module"], [["mine"]], [7], {"mine": 1}])
def test_a_langgraph_json_that_names_no_classes_is_an_error(write: Write, named: Any) -> None:
    write("mine.py", STATE)
    serde = {"allowed_msgpack_modules": named}
    with with_json(write, {"graphs": {"a": "mine:graph"}, "checkpointer": {"serde": serde}}):
        (error,) = graphs.problems()
        assert error.id == "runs.E004" and "checkpointer.serde.allowed_msgpack_modules" in error.msg


async def test_a_refused_class_is_named_once_with_what_allows_it(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("mine.py", STATE.replace("Unnamed", "Refused"))
    write("library/theirs.py", THEIRS.replace("Unnamed", "Refused"))
    with with_graphs(a="mine:graph"):
        for _ in range(2):
            assert (await restored("a"))["anything"] == {"note": "x"}
    [said] = [record.getMessage() for record in caplog.records if "Refused" in record.getMessage()]
    assert "CHECKPOINT_MODULES=theirs:Refused)" in said
    assert "langgraph.json" in said


def test_a_module_in_the_setting_brings_only_what_it_defines(write: Write) -> None:
    write("mine.py", STATE)
    with override_settings(RUNS={"CHECKPOINT_MODULES": ["mine"]}):
        modules = {module for module, _ in graphs.checkpoint_types()}
        assert "mine" in modules
        assert not {"langgraph.graph.state", "pydantic.main"} & modules


@pytest.mark.parametrize("entry", ["no_such_module", "mine:NoSuchClass", "mine:fill"])
def test_a_setting_that_names_no_classes_is_an_error(write: Write, entry: str) -> None:
    write("mine.py", STATE)
    with override_settings(RUNS={"CHECKPOINT_MODULES": [entry]}):
        (error,) = graphs.problems()
        assert error.id == "runs.E004" and f"has '{entry}'" in error.msg


def test_a_librarys_base_class_in_a_schema_lets_in_no_class_of_others(write: Write) -> None:
    base = GRAPH.replace("value: str", "value: BaseModel")
    write("mine.py", "    from pydantic import BaseModel\n    from theirs import Other\n" + base)
    with with_graphs(a="mine:graph"):
        assert graphs.load_all() == {}
        assert ("theirs", "Other") not in graphs.checkpoint_types()


async def test_classes_of_the_graphs_own_code_are_restored_wherever_they_are(write: Write) -> None:
    write("mine.py", STATE.replace("from theirs import", "from ours.things import"))
    write("ours/__init__.py", "")
    write("ours/things.py", THEIRS)
    with with_graphs(a="mine:graph"):
        assert (await restored("a"))["anything"] == sys.modules["ours.things"].Unnamed(note="x")


def test_classes_behind_tools_and_functions_are_found(write: Write) -> None:
    tools = """
        from langchain_core.tools import tool
        from found import Artifact

        @tool
        def look() -> str:
            "Look."
            return ""
    """
    write("found.py", THEIRS.replace("Unnamed", "Artifact"))
    write("tooling.py", tools)
    write("mine.py", "    from tooling import look\n" + GRAPH)
    with with_graphs(a="mine:graph"):
        assert graphs.load_all() == {}
        assert {("found", "Artifact"), ("found", "Other")} <= graphs.checkpoint_types()


def test_schemas_that_contain_themselves_are_read_to_the_end(write: Write) -> None:
    write(
        "mine.py",
        """
    from typing import TYPE_CHECKING, TypedDict, TypeVar
    from typing_extensions import TypeAliasType
    from langgraph.graph import START, StateGraph
    from pydantic import BaseModel

    class Node(BaseModel):
        children: "list[Node]" = []

    Json = TypeAliasType("Json", "dict[str, Json] | Node")
    Some = TypeVar("Some", bound=Node)

    class State(TypedDict, total=False):
        root: Node
        many: Json
        some: Some

    builder = StateGraph(State)
    builder.add_node("node", lambda state: {})
    builder.add_edge(START, "node")
    """,
    )
    with with_graphs(a="mine:builder"):
        assert graphs.load_all() == {}
        assert ("mine", "Node") in graphs.checkpoint_types()


def test_the_types_of_a_function_that_is_a_graph_are_known(write: Write) -> None:
    write(
        "mine.py",
        """
    from typing import Annotated
    from langgraph.func import entrypoint
    from pydantic import BaseModel

    class Order(BaseModel):
        number: int = 0

    @entrypoint()
    def graph(order: Annotated[Order, ["not hashable"]], *, previous: Order | None = None) -> Order:
        return previous or Order(number=7)
    """,
    )
    with with_graphs(a="mine:graph"):
        assert graphs.load_all() == {}
        assert ("mine", "Order") in graphs.checkpoint_types()


def test_what_a_class_that_no_checkpoint_can_hold_refers_to_is_not_restored(write: Write) -> None:
    client = """
    from pydantic import BaseModel

    class Answer(BaseModel): ...

    class Client:
        last: Answer
    """
    write("library/theirs.py", client)
    write("mine.py", "    from theirs import Client\n" + GRAPH.replace("value: str", "value: Client"))
    with with_graphs(a="mine:graph"):
        assert graphs.load_all() == {}
        assert ("theirs", "Answer") not in graphs.checkpoint_types()
