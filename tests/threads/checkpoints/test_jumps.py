"""The target node of a command's `goto` is one of a state's tasks, and its interrupt is shown."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, interrupt

from threads.checkpoints import jumps


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def asking(state: State) -> dict[str, Any]:
    return {"log": [interrupt(f"{len(state.get('log', ()))} so far?")]}


@pytest.fixture
async def gone() -> tuple[Any, Any]:
    """A finished graph after a command whose `goto` names an interrupting node, twice."""
    builder = StateGraph(State)
    builder.add_node("first", lambda state: {"log": ["first"]})
    builder.add_node("ask", asking)
    builder.add_edge(START, "first")
    builder.add_edge("first", END)
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    await graph.ainvoke({"log": ["in"]}, config)
    await graph.ainvoke(Command(goto=["ask", Send("ask", {"log": []})], update={"log": ["went"]}), config)
    return graph, config


async def test_what_is_asked_there_is_shown_and_can_be_answered(gone: tuple[Any, Any]) -> None:
    graph, config = gone
    state = await graph.aget_state(config)
    assert state.next == ("ask", "ask")
    assert {each.value for each in state.interrupts} == {"0 so far?", "3 so far?"}
    assert state.values == {"log": ["in", "first", "went"]}
    history = [each async for each in graph.aget_state_history(config)]
    assert [task.name for task in history[0].tasks] == ["ask", "ask"]
    answers = {each.id: f"to {each.value}" for each in state.interrupts}
    ended = await graph.ainvoke(Command(resume=answers), config)
    assert ended["log"] == ["in", "first", "went", "to 3 so far?", "to 0 so far?"]
    assert (await graph.aget_state(config)).next == ()


async def test_plain_langgraph_does_not_show_it(gone: tuple[Any, Any]) -> None:
    """The deviation in docs/reference/upstream.md. A failure means that LangGraph has changed."""
    graph, config = gone
    assert Pregel._aprepare_state_snapshot is jumps._prepare
    saved = await graph.checkpointer.aget_tuple(config)
    state = await jumps._original(graph, config, saved, saver=graph.checkpointer, live=True)
    assert (state.next, state.interrupts) == ((), ())
