"""Graphs whose models and nodes leave what a database may refuse."""

from __future__ import annotations

import math
from typing import Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from tests.support.graphs import trace

#: What models say that a call used.
SAID: dict[str, Any] = {
    "negative": -1, "huge": 2**70, "large": 2**31 - 1, "fraction": 0.5, "not a number": math.nan,
    "true": True, "text": "many", "nothing": None,
}  # fmt: skip


class State(TypedDict, total=False):
    how: str
    text: str


class Claiming(BaseChatModel):
    """A model that says any value as its count of tokens."""

    said: Any = None

    @property
    def _llm_type(self) -> str:
        return "claiming"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        message = AIMessage("done")
        used: Any = {"input_tokens": self.said, "output_tokens": 2, "total_tokens": 2}
        message.usage_metadata = used
        return ChatResult(generations=[ChatGeneration(message=message)])


def one(action: Any) -> Any:
    """A graph of one node."""
    builder = StateGraph(State)
    builder.add_node("act", action)
    builder.add_edge(START, "act")
    builder.add_edge("act", END)
    return builder.compile()


async def _claim(state: State, config: RunnableConfig) -> State:
    trace(config, "act")
    model = Claiming(said=SAID[state["how"]])
    # Twice, so that their sum is counted too.
    await model.ainvoke("go", config)
    return {"text": str((await model.ainvoke("go", config)).content)}


claims = one(_claim)


class Mute(ValueError):
    """An exception that says nothing."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Numbered(type):
    """A class of classes whose names are numbers."""

    __name__ = 5  # type: ignore[assignment]


class Unnamed(Exception, metaclass=Numbered):
    pass


def _odd() -> Exception:
    error = LookupError()
    error.args = (b"\xe9", {1: {2}}, "caf\udce9")
    return error


RAISED: dict[str, Any] = {
    "surrogate": lambda: ValueError("caf\udce9.txt"),
    "nul": lambda: ValueError("a\0b"),
    "mute": Mute,
    "unnamed": lambda: Unnamed("x\0\udce9"),
    "key": lambda: KeyError(Mute()),
    "odd": _odd,
    "group": lambda: ExceptionGroup("caf\udce9", [ValueError("\udce9"), Mute()]),
}  # fmt: skip


async def _raise(state: State, config: RunnableConfig) -> State:
    trace(config, "act")
    raise RAISED[state["how"]]()


raises = one(_raise)


def _named(name: str) -> Any:
    async def act(state: State, config: RunnableConfig) -> State:
        trace(config, "act")
        return {"text": name}

    inner = StateGraph(State)
    inner.add_node(name, act)
    inner.add_edge(START, name)
    builder = StateGraph(State)
    builder.add_node(name, inner.compile())
    builder.add_edge(START, name)
    return builder.compile()


surrogate, nul = _named("caf\udce9"), _named("a\0b")
