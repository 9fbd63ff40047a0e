"""What the corrections of LangGraph's loop rest on. A failure means that LangGraph has changed: read docs/reference/upstream.md."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel._loop import PregelLoop
from langgraph.types import Command, interrupt

from runs.execution import loops
from runs.execution.results import saved_writes


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def test_the_loop_is_corrected_once() -> None:
    assert PregelLoop._first is loops._first
    assert loops._original_first is not loops._first


@pytest.fixture
def failing() -> Any:
    """A graph whose node fails once after it took an answer."""
    tries: list[str] = []

    def act(state: State) -> dict[str, Any]:
        tries.append(interrupt("may I?"))
        if len(tries) == 1:
            raise ValueError("The tool is down.")
        return {"log": [tries[-1]]}

    builder = StateGraph(State)
    builder.add_node("act", act)
    builder.add_edge(START, "act")
    builder.add_edge("act", END)
    return builder.compile(checkpointer=InMemorySaver())


def test_plain_langgraph_gives_a_failed_task_its_old_answer(failing: Any) -> None:
    """Deviation "a failed task keeps its answer": REJECT is accepted, and the approval is executed."""
    config = {"configurable": {"thread_id": "1"}}
    failing.invoke({"log": []}, config)
    with pytest.raises(ValueError, match="down"):
        failing.invoke(Command(resume="approve"), config)
    [asked] = failing.get_state(config).interrupts
    assert failing.invoke(Command(resume={asked.id: "REJECT"}), config)["log"] == ["approve"]


def test_plain_langgraph_answers_an_older_checkpoint_with_its_first_answer() -> None:
    """Deviation "an older checkpoint is answered with the answer that it got first"."""
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"log": [interrupt("may I?")]})
    builder.add_edge(START, "ask")
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"log": []}, config)
    asked = graph.get_state(config).config
    graph.invoke(Command(resume="approve"), config)
    assert graph.invoke(Command(resume="REJECT"), asked)["log"] == ["approve"]


def test_plain_langgraph_gives_a_subgraph_with_a_memory_no_input_behind_a_breakpoint() -> None:
    """Deviation "a subgraph with a memory of its own ignores its input": its second turn is not executed."""
    executed: list[int] = []
    inner = StateGraph(State)
    inner.add_node("think", lambda state: executed.append(len(state["log"])) or {"log": ["thought"]})
    inner.add_edge(START, "think")
    builder = StateGraph(State)
    builder.add_node("agent", inner.compile(checkpointer=True))
    builder.add_edge(START, "agent")
    graph = builder.compile(checkpointer=InMemorySaver(), interrupt_before=["agent"])
    config: Any = {"configurable": {"thread_id": "1"}}
    for turn in ("first", "second"):
        graph.invoke({"log": [turn]}, config)
        graph.invoke(None, config)
    assert executed == [1]


def test_plain_langgraph_takes_a_failed_tasks_writes_for_its_result() -> None:
    """Deviation "half a task is stored as if it were whole": the retry executes nothing, and ends in success."""
    broken = [True]

    def route(state: State) -> str:
        if broken:
            raise ValueError("The router is down.")
        return "b"

    builder = StateGraph(State)
    builder.add_node("a", lambda state: {"log": ["a"]})
    builder.add_node("b", lambda state: {"log": ["b"]})
    builder.add_edge(START, "a")
    builder.add_conditional_edges("a", route, ["b"])
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    with pytest.raises(ValueError, match="router"):
        graph.invoke({"log": []}, config)
    broken.clear()
    assert graph.invoke(None, config)["log"] == ["a"]


ANSWER, OUTPUT = ("__resume__", ["yes"]), ("log", ["a"])


@pytest.mark.parametrize(
    ("error", "marks", "saved"),
    [
        (None, [], [ANSWER, OUTPUT]),
        (ValueError("down"), [], [ANSWER]),
        (ValueError("down"), [("__error_source_node__", "a")], [ANSWER, OUTPUT]),
    ],
)
def test_what_a_task_leaves(error: Exception | None, marks: list[Any], saved: list[Any]) -> None:
    failure = [("__error__", error)] if error else []
    assert saved_writes([ANSWER, OUTPUT, *failure, *marks]) == [*saved, *failure, *marks]


def test_a_cancelled_task_leaves_nothing() -> None:
    import asyncio

    assert saved_writes([ANSWER, OUTPUT, ("__error__", asyncio.CancelledError())]) == ()
