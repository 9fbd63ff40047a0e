"""Graphs for the chat page: one echoes the message, one interrupts with it, one tells its settings, one names its thread."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import BaseModel, Field

from tests.support.chat_models import Scripted


def told(messages: list[BaseMessage]) -> str:
    """The text of the last human message."""
    return next(message.text for message in reversed(messages) if isinstance(message, HumanMessage))


class Echo(Scripted):
    """Repeats the last message word by word; first it thinks what follows "thinking:"."""

    def pieces(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        text = told(messages)
        thought = ""
        if text.startswith("thinking:"):
            thought, _, text = text.removeprefix("thinking:").partition("\n")
        thoughts = [{"type": "reasoning", "reasoning": word, "index": 0} for word in words(thought)]
        texts = [{"type": "text", "text": word, "index": 1} for word in words(text)]
        return [AIMessageChunk(content=[piece]) for piece in (*thoughts, *texts)]

    def pause(self, messages: list[BaseMessage]) -> float:
        return 0.005


def words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*", text)


async def say(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    return {"messages": [await Echo().ainvoke(state["messages"], config)]}


async def ask(state: MessagesState) -> dict[str, Any]:
    """Interrupt with the JSON of the last message, and return the answer as JSON."""
    answer = interrupt(json.loads(told(state["messages"])))
    return {"messages": [AIMessage(f"```json\n{json.dumps(answer, sort_keys=True)}\n```")]}


def of_one(node: Any, state: Any = MessagesState, **options: Any) -> Any:
    builder = StateGraph(state, **options)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return builder.compile()


echo = of_one(say)
asking = of_one(ask)


class Settings(BaseModel):
    """What a person may set for the graph `configured`."""

    tone: Literal["plain", "formal"] = Field("plain", description="How the answer is written.")
    words: int = Field(5, ge=1, le=50, title="Words")
    sources: bool = False
    topics: list[str] = Field(default_factory=list)


async def tell_settings(state: MessagesState, runtime: Runtime[Settings]) -> dict[str, Any]:
    """Answer with the settings as JSON."""
    return {"messages": [AIMessage(f"```json\n{runtime.context.model_dump_json()}\n```")]}


class Titled(MessagesState, total=False):
    title: str


async def name_thread(state: Titled) -> Titled:
    """Answer, and name the thread."""
    return {"messages": [AIMessage("Named.")], "title": f"About {told(state['messages'])}"}


configured = of_one(tell_settings, context_schema=Settings)
titled = of_one(name_thread, Titled)
