"""Agents of deepagents, langgraph-supervisor and langgraph-swarm whose models are scripted and stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain.agents.middleware import TodoListMiddleware
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm

from tests.browser.graphs import words
from tests.support.chat_models import Scripted

#: A call of a tool: its name and arguments.
Call = tuple[str, dict[str, Any]]


class Playing(Scripted):
    """Says the lines of its script in turn: texts, word by word, and calls of tools.

    The number of its own messages since the last human one selects the line.
    """

    script: tuple[str | list[Call], ...]
    name: str | None = None

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self

    def pieces(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        asked = max(
            (place for place, each in enumerate(messages) if isinstance(each, HumanMessage)), default=0
        )
        mine = [
            each
            for each in messages[asked:]
            if isinstance(each, AIMessage) and each.name in (None, self.name)
        ]
        line = self.script[min(len(mine), len(self.script) - 1)]
        if isinstance(line, str):
            return [AIMessageChunk(word) for word in words(line)]
        calls = [
            tool_call_chunk(
                name=name, args=json.dumps(given), id=f"{self.name}-{len(messages)}-{place}", index=place
            )
            for place, (name, given) in enumerate(line)
        ]
        return [AIMessageChunk("", tool_call_chunks=[call]) for call in calls]

    def pause(self, messages: list[BaseMessage]) -> float:
        return 0.01


@tool
def look_up(subject: str) -> str:
    """Look something up in the notes."""
    return f"The notes say that {subject} end by themselves."


NOTE = "# Leases\n\nA lease ends **by itself**.\n\n| Sign | Do |\n|---|---|\n| Overdue | Wait one beat |\n"
TODOS = [("Look it up", "completed"), ("Write the note", "in_progress"), ("Check it", "pending")]

researcher = Playing(
    name="researcher",
    script=([("look_up", {"subject": "leases"})], "Leases end by themselves, the notes say."),
)
deep = create_deep_agent(
    model=Playing(
        name="chief",
        script=(
            [("write_todos", {"todos": [{"content": text, "status": status} for text, status in TODOS]})],
            [("task", {"description": "How do leases end?", "subagent_type": "researcher"})],
            [("write_file", {"file_path": "/lease-note.md", "content": NOTE})],
            [("edit_file", {"file_path": "/lease-note.md", "old_string": "by itself", "new_string": "without its owner"})],
            [("write_file", {"file_path": "/claim.sql", "content": "UPDATE run SET attempt = attempt + 1;\n"})],
            "The note is in lease-note.md, and the statement in claim.sql.",
        ),
    ),
    middleware=[TodoListMiddleware()],
    subagents=[
        {
            "name": "researcher",
            "description": "Looks things up.",
            "system_prompt": "Look it up.",
            "tools": [look_up],
            "model": researcher,
        }
    ],
)  # fmt: skip
clerk = create_agent(
    Playing(name="clerk", script=([("look_up", {"subject": "claims"})], "Claims end by themselves too.")),
    [look_up],
    name="clerk",
)
supervised = create_supervisor(
    [clerk],
    model=Playing(name="supervisor", script=([("transfer_to_clerk", {})], "The clerk has looked it up.")),
).compile(name="supervised")
alice = create_agent(
    Playing(name="alice", script=([("transfer_to_bob", {})],)),
    [create_handoff_tool(agent_name="bob", description="Ask Bob.")],
    name="alice",
)
bob = create_agent(
    Playing(name="bob", script=([("look_up", {"subject": "fences"})], "Bob has looked it up.")),
    [look_up],
    name="bob",
)
swarm = create_swarm([alice, bob], default_active_agent="alice").compile(name="swarm")
