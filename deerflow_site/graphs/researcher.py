"""One researcher: a subgraph that asks the search tool and summarises what it found."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal, cast

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import get_runtime
from langgraph.types import RetryPolicy

from deerflow_site.graphs import knobs, prompts
from deerflow_site.graphs.corpus import best_sentence, bundled, stems
from deerflow_site.graphs.model import chat_model
from deerflow_site.graphs.state import Finding, ResearchResult, ResearchState, Source

# Searching this kind of note fails on a node's first attempt, to show a retry in every run.
FLAKY_KIND = "failures"
NOTES_PER_SEARCH = 3


class SearchUnavailable(Exception):
    """The search did not answer; the node's retry policy tries again."""


@tool(response_format="content_and_artifact")
async def search_documents(
    query: str, kind: Literal["concepts", "failures", "practices"]
) -> tuple[str, list[Source]]:
    """Search the notes of one kind for the words of a query. Returns the best notes, best first, as JSON."""
    await asyncio.sleep(knobs.delay())
    info = get_runtime().execution_info
    # The attempt number belongs to the task, so other runs, and processes that resume this run, do not
    # matter.
    if kind == FLAKY_KIND and info is not None and info.node_attempt == 1:
        raise SearchUnavailable(f"The index of {kind} did not answer in time.")
    terms = stems(query)
    notes: list[dict[str, Any]] = []
    sources: list[Source] = []
    for hit in bundled().search(query, kind=kind, limit=NOTES_PER_SEARCH):
        quote = best_sentence(hit.note.text, terms)
        notes.append({"id": hit.note.id, "title": hit.note.title, "quote": quote, "text": hit.note.text})
        sources.append(Source(id=hit.note.id, title=hit.note.title, quote=quote, score=hit.score))
    return json.dumps(notes, ensure_ascii=False), sources


# A real model may call the tool with wrong arguments: the model gets the error, and the run continues.
search_documents.handle_validation_error = True


async def ask(state: ResearchState, config: RunnableConfig) -> ResearchState:
    """Let the model decide what to search for."""
    knobs.crash_if_asked(config)
    angle = state["angle"]
    knobs.progress("ask", f"Researching {angle['kind']}", angle=angle["text"])
    request = prompts.prompt(prompts.ASK, question=state["question"], angle=angle["text"], kind=angle["kind"])
    call = await chat_model().bind_tools([search_documents]).ainvoke(request)
    return {"messages": [request[-1], call]}


def after_ask(state: ResearchState) -> Literal["search", "summarise"]:
    """Skip the search if the model made no tool call."""
    return "search" if cast(AIMessage, state["messages"][-1]).tool_calls else "summarise"


async def search(state: ResearchState, config: RunnableConfig) -> ResearchState:
    """Call the tool as the model asked."""
    knobs.crash_if_asked(config)
    info = get_runtime().execution_info
    attempt = info.node_attempt if info is not None else 1
    kind = state["angle"]["kind"]
    knobs.progress("search", f"Searching {kind}, attempt {attempt}", kind=kind, attempt=attempt)
    calls = cast(AIMessage, state["messages"][-1]).tool_calls
    return {"messages": [await search_documents.ainvoke(call) for call in calls]}


async def summarise(state: ResearchState, config: RunnableConfig) -> ResearchState:
    """Let the model summarise the notes for the question."""
    knobs.crash_if_asked(config)
    angle = state["angle"]
    answers = [message for message in state["messages"] if isinstance(message, ToolMessage)]
    results = [message for message in answers if message.status == "success"]
    notes = {note["id"]: note for result in results for note in json.loads(result.text)}
    sources = {source["id"]: source for result in results for source in cast(list[Source], result.artifact)}
    summary = await chat_model().ainvoke(
        prompts.prompt(
            prompts.SUMMARISE, question=state["question"], angle=angle["text"], notes=list(notes.values())
        )
    )
    knobs.progress("summarise", f"Found {len(sources)} notes on {angle['kind']}", sources=list(sources))
    finding = Finding(
        number=angle["number"], angle=angle["text"], summary=str(summary.text), sources=list(sources.values())
    )
    return {"messages": [summary], "findings": [finding]}


def build_researcher() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The subgraph of one researcher; the parent graph starts it once for each angle of its plan."""
    builder = StateGraph(ResearchState, output_schema=ResearchResult)
    builder.add_node(ask)
    builder.add_node(
        search,
        retry_policy=RetryPolicy(
            initial_interval=0.05, max_attempts=3, jitter=False, retry_on=SearchUnavailable
        ),
    )
    builder.add_node(summarise)
    builder.add_edge(START, "ask")
    builder.add_conditional_edges("ask", after_ask)
    builder.add_edge("search", "summarise")
    builder.add_edge("summarise", END)
    return builder.compile(name="researcher")
