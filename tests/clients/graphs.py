"""One graph that executes the last human message as an order, for tests by messages.

talk [WORDS] [SECONDS]   streams an answer of so many words, each after so many seconds speak
[WORDS] [SECONDS]  does the same, but reads its model's events weather PLACE [SECONDS]  calls a
tool, and reports its answer ask [TIMES] [SECONDS]    interrupts so many times, each after so many
seconds, and reports the answers poll                     interrupts twice at once, and reports the
answers delegate [WORDS]         lets a subgraph answer nest [WORDS]             lets a subgraph of
a subgraph answer march [STEPS] [SECONDS]  takes so many steps, each with a message of its own fail
fails
"""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

from langchain_core._api import LangChainBetaWarning
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Send, interrupt

from tests.support.chat_models import Scripted
from tests.support.graphs import trace


def order(messages: list[BaseMessage]) -> list[str]:
    """The words of the last human message."""
    said = [message.text for message in messages if isinstance(message, HumanMessage)]
    return said[-1].split() if said else [""]


def number(words: list[str], place: int, otherwise: float) -> float:
    return float(words[place]) if len(words) > place else otherwise


class Obedient(Scripted):
    """A chat model that returns the message or tool call that the last human message orders."""

    def pause(self, messages: list[BaseMessage]) -> float:
        return number(order(messages), 2, 0.0)

    def pieces(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        words = order(messages)
        if isinstance(messages[-1], ToolMessage):
            return [AIMessageChunk(word) for word in ("It is ", messages[-1].text, ".")]
        if words[0] == "weather":
            call = {"name": "weather", "id": f"call-{len(messages)}", "index": 1}
            arguments = json.dumps({"place": words[1]})
            pieces = [{**call, "args": arguments[:-4]}, {"index": 1, "args": arguments[-4:]}]
            return [AIMessageChunk("", tool_call_chunks=[tool_call_chunk(**each)]) for each in pieces]
        return [AIMessageChunk(f"w{place} ") for place in range(int(number(words, 1, 5)))]


@tool
async def weather(place: str) -> str:
    """Tell the weather of a place."""
    return f"sunny in {place}"


class Obeying(MessagesState, total=False):
    steps: int


async def talk(state: Obeying, config: RunnableConfig) -> dict[str, Any]:
    trace(config, "talk")
    get_stream_writer()({"progress": "talking"})
    return {"messages": [await Obedient().ainvoke(state["messages"], config)]}


async def speak(state: Obeying, config: RunnableConfig) -> dict[str, Any]:
    trace(config, "speak")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangChainBetaWarning)
        stream: Any = await Obedient().astream_events(state["messages"], config, version="v3")
    return {"messages": [await stream.output]}


async def ask(state: Obeying, config: RunnableConfig) -> dict[str, Any]:
    trace(config, "ask")
    words, answers = order(state["messages"]), []
    for _ in range(int(number(words, 1, 1))):
        await asyncio.sleep(number(words, 2, 0.0))
        answers.append(interrupt({"question": "well?"}))
    return {"messages": [AIMessage(f"You said {' and '.join(map(str, answers))}.")]}


def poll(state: Obeying) -> list[Send]:
    return [Send("pollster", {"topic": topic}) for topic in ("tea", "milk")]


async def pollster(state: dict[str, str]) -> dict[str, Any]:
    return {"messages": [AIMessage(f"{state['topic']}: {interrupt({'question': state['topic'] + '?'})}")]}


async def step(state: Obeying, config: RunnableConfig) -> dict[str, Any]:
    trace(config, "step")
    await asyncio.sleep(number(order(state["messages"]), 2, 0.0))
    taken = state.get("steps", 0) + 1
    return {"messages": [AIMessage(f"step {taken}")], "steps": taken}


async def fail(state: Obeying) -> dict[str, Any]:
    raise ValueError("kaboom")


def which(state: Obeying) -> str:
    word = order(state["messages"])[0]
    nodes = {
        "poll": "poll",
        "ask": "ask",
        "delegate": "team",
        "nest": "firm",
        "march": "step",
        "fail": "fail",
        "speak": "speak",
    }
    return nodes.get(word, "talk")


def further(state: Obeying) -> str:
    return END if state.get("steps", 0) % number(order(state["messages"]), 1, 3) == 0 else "step"


def _around(name: str, node: str, does: Any) -> Any:
    """A graph of one node."""
    builder = StateGraph(MessagesState)
    builder.add_node(node, does)
    builder.add_edge(START, node)
    return builder.compile(name=name)


def _obeying() -> Any:
    team = _around("team", "member", talk)
    builder = StateGraph(Obeying)
    builder.add_node("talk", talk)
    builder.add_node("tools", ToolNode([weather]))
    builder.add_node("ask", ask)
    builder.add_node("poll", lambda state: {})
    builder.add_node("pollster", pollster)
    builder.add_node("team", team)
    builder.add_node("firm", _around("firm", "team", team))
    builder.add_node("step", step)
    builder.add_node("fail", fail)
    builder.add_node("speak", speak)
    builder.add_conditional_edges(
        START, which, ["talk", "speak", "ask", "poll", "team", "firm", "step", "fail"]
    )
    builder.add_conditional_edges("poll", poll, ["pollster"])
    builder.add_conditional_edges("talk", tools_condition)
    builder.add_edge("tools", "talk")
    builder.add_conditional_edges("step", further, ["step", END])
    return builder.compile(name="obeying")


obeying = _obeying()
