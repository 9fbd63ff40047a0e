"""Small graphs, each for an earlier bug."""

from __future__ import annotations

import asyncio
import enum
import operator
import threading
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel


class Colour(enum.IntEnum):
    RED = 1


class Mood(enum.StrEnum):
    GOOD = "good"


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    colour: Colour
    mood: Mood


#: Events that nodes wait for, and whether a tool is down.
release = threading.Event()
#: One entry for each execution of the node that hangs.
hanging: list[None] = []
down: list[bool] = []


def one(action: Any, **options: Any) -> Any:
    """A graph of one node."""
    builder = StateGraph(State)
    builder.add_node("act", action, **options)
    builder.add_edge(START, "act")
    builder.add_edge("act", END)
    return builder.compile()


inner = one(lambda state: {"log": ["inner"]})


async def _inner(state: State) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"log": ["inner"]}


asynchronous_inner = one(_inner)


async def _blocks(state: State, config: RunnableConfig) -> dict[str, Any]:
    return {"log": inner.invoke({"log": []}, config)["log"]}


def _own_loop(state: State, config: RunnableConfig) -> dict[str, Any]:
    return {"log": asyncio.run(asynchronous_inner.ainvoke({"log": []}, config))["log"]}


def _hangs(state: State) -> dict[str, Any]:
    hanging.append(None)
    release.wait(150)
    return {"log": ["released"]}


def _asks(state: State) -> dict[str, Any]:
    answer = interrupt("may I?")
    if down:
        raise ValueError("The tool is down.")
    return {"log": [str(answer)]}


def _asks_by_schema(state: State) -> dict[str, Any]:
    return {"log": [str(interrupt("how many?", response_schema={"type": "integer"}))]}


class Wrong(LookupError, ValueError):
    """An error of a site's own."""


class Secret(OSError):
    """An error that is not a ValueError."""


def _fails(state: State) -> dict[str, Any]:
    raise (Secret if "secret" in state["log"] else Wrong)("password=hunter2 of db.internal")


class Nameless(BaseChatModel):
    """A model that reports its usage, but not its name."""

    @property
    def _llm_type(self) -> str:
        return "nameless"

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        used = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        return ChatResult(generations=[ChatGeneration(message=AIMessage("hi", usage_metadata=used))])


async def _talks(state: State, config: RunnableConfig) -> dict[str, Any]:
    return {"log": [str((await Nameless().ainvoke("hello", config)).content)]}


blocks, own_loop, hangs, asks, schemed = (
    one(_blocks), one(_own_loop), one(_hangs), one(_asks), one(_asks_by_schema),
)  # fmt: skip
fails, talks = one(_fails), one(_talks)
quick = one(lambda state: {"log": ["quick"]})
coloured = one(lambda state: {"colour": Colour.RED, "mood": Mood.GOOD})


class Finding(BaseModel):
    title: str


def _finds(state: State) -> dict[str, Any]:
    found = Finding(title="a leak")
    return {"log": [f"{interrupt({'finding': found})} {found.title}"]}


finds = one(_finds)


@entrypoint()
async def functional(given: dict[str, Any]) -> str:
    return f"{given['x']} {interrupt('sure?')}"
