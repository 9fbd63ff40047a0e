"""The demo agent's state: plain JSON types, so that any serializer can store them."""

from __future__ import annotations

from typing import Annotated, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import add_messages

# Python 3.11's own TypedDict lacks what pydantic needs to make the JSON schema of a graph's input.
from typing_extensions import TypedDict

KINDS = ("concepts", "failures", "practices")


class Angle(TypedDict):
    """One part of the plan: a researcher's topic, and the kind of note to search."""

    number: int
    kind: str
    text: str


class Todo(TypedDict):
    content: str
    status: Literal["pending", "in_progress", "completed"]


class Source(TypedDict):
    id: str
    title: str
    quote: str
    score: float


class Finding(TypedDict):
    number: int
    angle: str
    summary: str
    sources: list[Source]


def merge_findings(old: list[Finding], new: list[Finding]) -> list[Finding]:
    """Keep findings in the order of the plan, independent of their arrival.

    An empty list removes the old ones.
    """
    if not new:
        return []
    by_number = {finding["number"]: finding for finding in [*old, *new]}
    return [by_number[number] for number in sorted(by_number)]


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    question: str
    plan: list[Angle]
    todos: list[Todo]
    findings: Annotated[list[Finding], merge_findings]
    draft: str
    feedback: list[str]
    review_hint: str
    report: str
    #: Texts by their names; chat pages show them as files.
    files: dict[str, str]


class ResearchState(TypedDict, total=False):
    """The state of one researcher; of this, only `findings` reaches the parent graph."""

    messages: Annotated[list[AnyMessage], add_messages]
    question: str
    angle: Angle
    findings: list[Finding]


class ResearchResult(TypedDict):
    findings: list[Finding]


def question_in(messages: list[AnyMessage]) -> str:
    """What the user asked since the agent's last answer, or an empty string."""
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            break
        if isinstance(message, HumanMessage) and (text := message.text.strip()):
            return text
    return ""


def todo_list(plan: list[Angle], *, done: int, active: int = 1) -> list[Todo]:
    """The plan as a to-do list: `done` items are completed, the next `active` ones in progress."""
    contents = [
        *(angle["text"] for angle in plan),
        "Write a draft",
        "Have the draft reviewed",
        "Write the report",
    ]
    return [
        Todo(
            content=content,
            status="completed" if index < done else "in_progress" if index < done + active else "pending",
        )
        for index, content in enumerate(contents)
    ]
