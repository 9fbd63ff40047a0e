"""The demo agent: research in the bundled notes, with a human who reviews the draft.

    plan ─► research ×3 (subgraphs, in parallel) ─► draft ─► review ─► report
                                                     ▲         │
                                                     └─revise──┘

It is an ordinary LangGraph graph with real subgraphs, retries, tool calls, interrupts and token streams. Only
the model is scripted, so that it runs without a network or a key; `AGENT_MODEL` selects a real one.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Send, interrupt

from deerflow_site.graphs import knobs, prompts
from deerflow_site.graphs.model import chat_model
from deerflow_site.graphs.researcher import build_researcher
from deerflow_site.graphs.review import ANSWER_SCHEMA, read_answer
from deerflow_site.graphs.review import request as review_request
from deerflow_site.graphs.state import KINDS, Angle, State, question_in, todo_list

GREETING = (
    "Ask me a question about running agents durably, and I will research it in my notes. For example: "
    "How do leases and heartbeats find a dead worker?"
)


def begin(state: State) -> Literal["greet", "plan"]:
    """Research needs a question; without one, the agent describes what it can do."""
    return "plan" if question_in(state.get("messages", [])) else "greet"


async def greet(state: State, config: RunnableConfig) -> State:
    """Answer an empty message."""
    knobs.crash_if_asked(config)
    return {"messages": [AIMessage(GREETING)]}


async def plan(state: State, config: RunnableConfig) -> State:
    """Let the model split the question into three angles, and forget the work on an earlier question."""
    knobs.crash_if_asked(config)
    knobs.progress("plan", "Planning the research")
    question = question_in(state["messages"])
    message = await chat_model().ainvoke([SystemMessage(prompts.PLAN), *state["messages"]])
    angles = read_plan(message.text, question=question)
    return {
        "messages": [message],
        "question": question,
        "plan": angles,
        "todos": todo_list(angles, done=0, active=len(angles)),
        "findings": [],
        "draft": "",
        "feedback": [],
        "review_hint": "",
        "report": "",
    }


def read_plan(text: str, *, question: str) -> list[Angle]:
    """The numbered lines of a plan as one angle for each kind of note, whatever the model left out."""
    lines = [found.rstrip() for found in re.findall(r"^[ \t]*\d+[.)][ \t]+(\S.*)", text, re.MULTILINE)]
    texts = [*lines, *(f"{kind.capitalize()}: {question}" for kind in KINDS[len(lines) :])]
    return [
        Angle(number=number, kind=kind, text=line)
        for number, (kind, line) in enumerate(zip(KINDS, texts, strict=False), start=1)
    ]


def research_each_angle(state: State) -> list[Send]:
    return [Send("research", {"question": state["question"], "angle": angle}) for angle in state["plan"]]


async def draft(state: State, config: RunnableConfig) -> State:
    """Let the model write a draft from the findings and all feedback so far."""
    knobs.crash_if_asked(config)
    feedback = state["feedback"]
    knobs.progress("draft", f"Writing draft {len(feedback) + 1}", revision=len(feedback) + 1)
    request = prompts.prompt(
        prompts.DRAFT,
        question=state["question"],
        findings=state["findings"],
        previous_draft=state["draft"],
        feedback=feedback,
    )
    message = await chat_model().ainvoke(request)
    todos = todo_list(state["plan"], done=len(state["plan"]) + 1)
    return {"messages": [message], "draft": str(message.text), "todos": todos, "review_hint": ""}


async def review(state: State, config: RunnableConfig) -> Command[Literal["draft", "review", "report"]]:
    """Ask a person about the draft.

    This node runs again from its first line when the answer arrives.
    """
    knobs.crash_if_asked(config)
    revision = len(state["feedback"]) + 1
    answer = interrupt(
        review_request(
            draft=state["draft"], about=state["question"], revision=revision, hint=state["review_hint"]
        ),
        response_schema=ANSWER_SCHEMA,
    )
    verdict = read_answer(answer)
    if verdict.approved:
        knobs.progress("review", f"Draft {revision} is approved", approved=True)
        done = len(state["plan"]) + 2
        return Command(
            goto="report",
            update={
                "todos": todo_list(state["plan"], done=done),
                "review_hint": "",
                **({"draft": verdict.draft} if verdict.draft else {}),
            },
        )
    if not verdict.feedback:
        # A new step for the next interrupt, because this one has been answered.
        return Command(goto="review", update={"review_hint": verdict.hint})
    knobs.progress("review", f"Draft {revision} needs a revision", approved=False)
    return Command(
        goto="draft",
        update={
            "messages": [HumanMessage(verdict.feedback)],
            "feedback": [*state["feedback"], verdict.feedback],
            "todos": todo_list(state["plan"], done=len(state["plan"])),
        },
    )


async def report(state: State, config: RunnableConfig) -> State:
    """Let the model turn the approved draft into a report that lists its sources."""
    knobs.crash_if_asked(config)
    knobs.progress("report", "Writing the report")
    sources = {source["id"]: source for finding in state["findings"] for source in finding["sources"]}
    request = prompts.prompt(
        prompts.REPORT, question=state["question"], draft=state["draft"], sources=list(sources.values())
    )
    message = await chat_model().ainvoke(request)
    todos = todo_list(state["plan"], done=len(state["plan"]) + 3)
    text = str(message.text)
    return {"messages": [message], "report": text, "todos": todos, "files": {"report.md": text}}


def build() -> CompiledStateGraph[Any, Any, Any, Any]:
    """Compile the graph without a checkpointer, because the server adds one for each run.

    The model is created here, so that a wrong `AGENT_MODEL` fails at the server's start and not
    during a run.
    """
    chat_model()
    builder = StateGraph(State)
    builder.add_node(greet)
    builder.add_node(plan)
    builder.add_node("research", build_researcher())
    builder.add_node(draft)
    builder.add_node(review)
    builder.add_node(report)
    builder.add_conditional_edges(START, begin)
    builder.add_edge("greet", END)
    builder.add_conditional_edges("plan", research_each_angle, ["research"])
    builder.add_edge("research", "draft")
    builder.add_edge("draft", "review")
    builder.add_edge("report", END)
    return builder.compile(name="agent")


graph = build()
