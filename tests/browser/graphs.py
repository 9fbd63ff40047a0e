"""Graphs for the chat page: one echoes the message, one interrupts with it, one tells its settings, one names its thread.

One more says the message in every place that the page shows.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
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


PROSE = """\
A **lease** says who may work on a run, and until when. A **fencing token** makes sure that a worker that \
has lost its lease cannot write any more.

### What the person on call should know

- A paused worker does not know that its lease has ended, so it tries to go on when it wakes up.
- Each claim raises the run's epoch. Every write carries it, and the database refuses an older one.
- If two workers claim at once, a unique constraint lets one of them through; the other looks for another run.

### What to do

Wait for one heartbeat before you look into a worker that is overdue: most of them come back by themselves. \
If none does, another process finds the run by its lock within two seconds and resumes it from its last \
checkpoint. What the dead process had streamed and not saved is said anew, in the same place.
"""


class Telling(Scripted):
    """Tells how leases work, at the pace of a large model."""

    def pieces(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        return [AIMessageChunk(word) for word in words(PROSE)]

    def pause(self, messages: list[BaseMessage]) -> float:
        return 0.06


async def tell(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    return {"messages": [await Telling().ainvoke(state["messages"], config)]}


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
telling = of_one(tell)
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


class Hostile(Titled, total=False):
    todos: list[dict[str, str]]
    files: dict[str, str]


async def attack(state: Hostile) -> Hostile:
    """Say the last message as thoughts, texts, a tool's name, arguments and results, files, to-dos and the thread's title."""
    text = told(state["messages"])
    calls = [
        {"name": text, "args": {text: text, "nested": {text: [text]}}, "id": place} for place in ("1", "2")
    ]
    blocks: list[Any] = [
        {"type": "file", "filename": text},
        {"type": text, text: text},
        {"type": "text", "text": text},
    ]
    return {
        "messages": [
            AIMessage([{"type": "reasoning", "reasoning": text}, *blocks], tool_calls=calls),
            ToolMessage(text, tool_call_id="1", name=text),
            ToolMessage(blocks, tool_call_id="2", name=text, status="error"),
        ],
        "title": text,
        "todos": [{"content": text, "status": "in_progress"}],
        "files": {f"{text}.md": text, "a.svg": text, "a.html": text},
    }


async def consult(state: Hostile) -> Hostile:
    """Let a sub-agent do the same."""
    await of_one(attack, Hostile).ainvoke({"messages": [HumanMessage(told(state["messages"]))]})
    return {}


async def question(state: Hostile) -> Hostile:
    """Put the last message into questions of each kind, all at once."""
    text = told(state["messages"])
    interrupt({"question": text, "description": text, "options": [text, {"label": text, "value": 1}]})
    return {}


async def request(state: Hostile) -> Hostile:
    text = told(state["messages"])
    interrupt(
        {"action_requests": [{"name": text, "args": {text: text}, "description": text}], "review_configs": []}
    )
    return {}


async def order(state: Hostile) -> Hostile:
    text = told(state["messages"])
    field = {"title": text, "description": text, "enum": [text]}
    interrupt({"title": text, "schema": {"type": "object", "properties": {text: field}}, text: text})
    return {}


#: The name of a node is one of a sub-agent; it cannot have a colon or a bar.
HOSTILE_NAME = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"


def of_attacks() -> Any:
    builder = StateGraph(Hostile)
    builder.add_node("attack", attack)
    builder.add_node(HOSTILE_NAME, consult)
    builder.add_edge(START, "attack")
    builder.add_edge("attack", HOSTILE_NAME)
    for name, node in {"question": question, "request": request, "order": order}.items():
        builder.add_node(name, node)
        builder.add_edge(HOSTILE_NAME, name)
        builder.add_edge(name, END)
    return builder.compile()


hostile = of_attacks()
configured = of_one(tell_settings, context_schema=Settings)
titled = of_one(name_thread, Titled)
