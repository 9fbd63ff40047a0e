"""Agents made with LangChain, deepagents, langgraph-supervisor and langgraph-swarm, and one like the public templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm
from pydantic import BaseModel


class Scripted(BaseChatModel):
    """Calls the tools in its script, message by message, and returns the other lines as texts.

    A line of the script is `tool {"argument": "value"}`, several of them joined by `&`, or a text.
    The number of its own messages selects the line, so that a repeated call returns the same.
    """

    script: tuple[Any, ...]
    name: str | None = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        mine = [each for each in messages if isinstance(each, AIMessage)]
        turn = sum(1 for each in mine if each.name in (None, self.name))
        line = self.script[min(turn, len(self.script) - 1)]
        if isinstance(line, str):
            message = AIMessage(line, id=f"{self.name or 'ai'}-{turn}")
        else:
            calls = [
                {"name": name, "args": arguments, "id": f"{self.name or 'call'}-{turn}-{number}"}
                for number, (name, arguments) in enumerate(line)
            ]
            message = AIMessage("", tool_calls=calls, id=f"{self.name or 'ai'}-{turn}")
        return ChatResult(generations=[ChatGeneration(message=message)])


#: What was mailed, in its order.
mailed: list[str] = []


@tool
def mail(to: str, body: str) -> str:
    """Send a mail."""
    mailed.append(f"{to}: {body}")
    return f"mailed {to}: {body}"


@tool
def look_up(subject: str) -> str:
    """Look something up."""
    return f"{subject} is fine"


class Report(BaseModel):
    verdict: str
    score: int


GATE = HumanInTheLoopMiddleware(interrupt_on={"mail": True})
one_mail = [("mail", {"to": "ada", "body": "hello"})]

gated = create_agent(
    Scripted(script=([("look_up", {"subject": "tea"})], one_mail, "done")), [mail, look_up], middleware=[GATE]
)
two_mails = create_agent(
    Scripted(script=([*one_mail, ("mail", {"to": "bob", "body": "bye"})], "done")), [mail], middleware=[GATE]
)
structured = create_agent(
    Scripted(script=([("look_up", {"subject": "tea"})], [("Report", {"verdict": "good", "score": 3})])),
    [look_up],
    response_format=Report,
)
deep = create_deep_agent(
    model=Scripted(
        script=(
            [("task", {"description": "mail ada", "subagent_type": "clerk"})],
            "done",
        )
    ),
    subagents=[
        {
            "name": "clerk",
            "description": "Mails.",
            "system_prompt": "Mail.",
            "tools": [mail],
            "model": Scripted(script=(one_mail, "the clerk has mailed"), name="clerk"),
            "interrupt_on": {"mail": True},
        }
    ],
)
clerk = create_agent(Scripted(script=(one_mail, "mailed"), name="clerk"), [mail], name="clerk")
supervised = create_supervisor(
    [clerk],
    model=Scripted(script=([("transfer_to_clerk", {})], "the clerk is done"), name="supervisor"),
).compile()
alice = create_agent(
    Scripted(script=([("transfer_to_bob", {})],), name="alice"),
    [create_handoff_tool(agent_name="bob", description="Ask Bob.")],
    name="alice",
)
bob = create_agent(Scripted(script=("Bob is here",), name="bob"), [look_up], name="bob")
swarm = create_swarm([alice, bob], default_active_agent="alice").compile()


@dataclass
class Context:
    """Like in the public templates, every field has a default."""

    user_id: str = "default"
    greeting: str = "Hello"


async def remember(state: MessagesState, runtime: Runtime[Context], *, store: BaseStore) -> dict[str, Any]:
    namespace = ("memories", runtime.context.user_id)
    count = len(await store.asearch(namespace))
    await store.aput(namespace, f"m{count}", {"text": str(state["messages"][-1].content)})
    return {"messages": [AIMessage(f"{runtime.context.greeting}, {runtime.context.user_id}: {count} before")]}


def template(config: Any) -> Any:
    builder = StateGraph(MessagesState, context_schema=Context)
    builder.add_node("remember", remember)
    builder.add_edge(START, "remember")
    builder.add_edge("remember", END)
    return builder.compile()


def said(values: dict[str, Any]) -> list[str]:
    """The messages of a state as texts, without ids."""
    texts = []
    for each in values["messages"]:
        message = each if isinstance(each, dict) else each.model_dump()
        calls = [f"{call['name']}{call['args']}" for call in message.get("tool_calls") or ()]
        texts.append(f"{message['type']} {message['content']} {' '.join(calls)}".strip())
    return texts
