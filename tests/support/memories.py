"""Graphs that use the store in all ways in which LangGraph passes it to a node."""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_store
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore


class State(TypedDict, total=False):
    word: str
    seen: list[str]


def injected(state: State, *, store: BaseStore) -> None:
    """A synchronous node, on a LangGraph thread."""
    store.put(("memories",), "injected", {"word": state["word"]})


async def from_runtime(state: State, runtime: Runtime) -> None:
    assert runtime.store is not None
    await runtime.store.aput(("memories",), "runtime", {"word": state["word"]})


async def from_context(state: State) -> None:
    await get_store().aput(("memories",), "context", {"word": state["word"]})


async def recall(state: State, *, store: BaseStore) -> State:
    found = await store.asearch(("memories",), filter={"word": state["word"]})
    return {"seen": sorted(item.key for item in found)}


def _inner() -> Any:
    builder = StateGraph(State)
    builder.add_sequence([from_context])
    builder.add_edge(START, "from_context")
    return builder.compile()


def _build() -> StateGraph:
    builder = StateGraph(State)
    builder.add_sequence([injected, from_runtime, ("inner", _inner()), recall])
    builder.add_edge(START, "injected")
    return builder


remembering = _build().compile()


def made(config: RunnableConfig, runtime: Any) -> Any:
    """A factory that gets the store too."""

    async def note(state: State) -> State:
        await runtime.store.aput(("memories",), "factory", {"word": state["word"]})
        return {"seen": ["factory"]}

    builder = StateGraph(State)
    builder.add_node("note", note)
    builder.add_edge(START, "note")
    return builder.compile()
