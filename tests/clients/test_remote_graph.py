"""`RemoteGraph`: a graph on the server, used like a local one, and as a node of a graph of this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command, interrupt
from langgraph_sdk import get_client, get_sync_client

from tests.processes.harness import Site

pytestmark = pytest.mark.sqlite


@pytest.fixture
async def remote(either: Site) -> AsyncIterator[RemoteGraph]:
    url = either.process.url
    with get_sync_client(url=url, api_key=None) as sync_client:
        async with get_client(url=url, api_key=None) as client:
            yield RemoteGraph("obeying", client=client, sync_client=sync_client)


@pytest.fixture
def config() -> RunnableConfig:
    return {"configurable": {"thread_id": str(uuid4())}}


def say(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def texts(values: Any) -> list[str]:
    return [
        message["content"] if isinstance(message, dict) else message.text for message in values["messages"]
    ]


def parent(remote: RemoteGraph) -> Any:
    """A graph whose only node is the remote one."""
    builder = StateGraph(MessagesState)
    builder.add_node("remote", remote)
    builder.add_edge(START, "remote")
    builder.add_edge("remote", END)
    return builder.compile(checkpointer=InMemorySaver())


def test_it_is_invoked(remote: RemoteGraph, config: RunnableConfig) -> None:
    assert texts(remote.invoke(say("talk 2"), config)) == ["talk 2", "w0 w1 "]
    assert texts(remote.invoke(say("talk 1"), config)) == ["talk 2", "w0 w1 ", "talk 1", "w0 "]
    assert texts(remote.invoke(say("talk 1"))) == ["talk 1", "w0 "]


async def test_it_is_awaited(remote: RemoteGraph, config: RunnableConfig) -> None:
    assert texts(await remote.ainvoke(say("weather Bern"), config))[-1] == "It is sunny in Bern."
    snapshot = await remote.aget_state(config)
    assert snapshot.next == ()
    history = [each.config async for each in remote.aget_state_history(config)]
    assert history[0] == snapshot.config


def test_it_streams(remote: RemoteGraph, config: RunnableConfig) -> None:
    updates = list(remote.stream(say("march 2"), config, stream_mode="updates"))
    assert [update["step"]["steps"] for update in updates] == [1, 2]
    parts = list(remote.stream(say("talk 3"), config, stream_mode=["values", "messages", "custom"]))
    assert {part.event for part in parts} == {"values", "messages", "custom"}
    spoken = [part.data[0]["content"] for part in parts if part.event == "messages"]
    assert "".join(spoken[:3]) == "w0 w1 w2 "


async def test_it_streams_subgraphs(remote: RemoteGraph, config: RunnableConfig) -> None:
    parts = [
        part
        async for part in remote.astream(say("delegate 2"), config, stream_mode="updates", subgraphs=True)
    ]
    namespaces = {namespace[0].split(":")[0] for namespace, _ in parts if namespace}
    assert namespaces == {"team"}


def test_it_asks_and_is_answered(remote: RemoteGraph, config: RunnableConfig) -> None:
    [question] = remote.invoke(say("ask"), config)["__interrupt__"]
    assert question["value"] == {"question": "well?"}
    snapshot = remote.get_state(config)
    assert snapshot.next == ("ask",)
    assert [each.value for each in snapshot.tasks[0].interrupts] == [question["value"]]
    assert texts(remote.invoke(Command(resume="yes"), config))[-1] == "You said yes."


def test_its_state_is_changed(remote: RemoteGraph, config: RunnableConfig) -> None:
    remote.invoke(say("march 2"), config)
    [newest, middle, *_] = remote.get_state_history(config)
    changed = remote.update_state(
        middle.config, {"messages": [{"role": "assistant", "content": "mended"}]}, as_node="step"
    )
    assert texts(remote.get_state(changed).values) == ["march 2", "step 1", "mended"]
    assert texts(remote.get_state(newest.config).values) == ["march 2", "step 1", "step 2"]
    assert [each.metadata["source"] for each in remote.get_state_history(config, limit=1)] == ["update"]
    older = remote.get_state_history(config, before=middle.config, limit=10)
    assert [each.metadata["step"] for each in older if each.metadata] == [0, -1]


def test_it_is_drawn(remote: RemoteGraph) -> None:
    assert "team" in remote.get_graph().nodes
    assert "team:member" in remote.get_graph(xray=True).nodes


def test_a_failure_is_raised(remote: RemoteGraph, config: RunnableConfig) -> None:
    with pytest.raises(RemoteException, match="kaboom"):
        remote.invoke(say("fail"), config)


async def test_it_is_a_node_of_another_graph(remote: RemoteGraph) -> None:
    graph = parent(remote)
    config: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
    values = await graph.ainvoke({"messages": [HumanMessage("talk 2")]}, config)
    assert texts(values) == ["talk 2", "w0 w1 "]
    parts = [
        part
        async for part in graph.astream(
            {"messages": [HumanMessage("march 2")]}, config, stream_mode="updates", subgraphs=True
        )
    ]
    assert any("step" in update for _, update in parts)
    assert texts((await graph.aget_state(config)).values)[-1] == "step 2"


async def test_what_a_node_of_another_graph_asks_is_asked_by_that_graph_but_not_answered_through_it(
    remote: RemoteGraph,
) -> None:
    """When resumed, the node sends its input again.

    Its client does not send the answer to the server.
    """
    sent: list[dict[str, Any]] = []

    async def note(request: httpx.Request) -> None:
        if request.url.path.endswith("/runs/stream"):
            sent.append(json.loads(request.content))

    assert remote.client is not None
    remote.client.http.client.event_hooks = {"request": [note]}
    graph = parent(remote)
    config: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
    asked = await graph.ainvoke({"messages": [HumanMessage("ask")]}, config)
    assert [each.value for each in asked["__interrupt__"]] == [{"question": "well?"}]
    assert (await graph.aget_state(config)).next == ("remote",)
    again = await graph.ainvoke(Command(resume="yes"), config)
    assert [each.value for each in again["__interrupt__"]] == [{"question": "well?"}]
    first, second = sent
    assert (first["input"], first.get("command")) == (second["input"], second.get("command"))
    assert second.get("command") is None
    assert "yes" not in json.dumps(second)
    # The server's thread of that id accepts the answer.
    assert texts(await remote.ainvoke(Command(resume="yes"), config))[-1] == "You said yes."


class Consulting(MessagesState, total=False):
    question: Any


async def test_a_node_that_passes_answers_on_is_resumed_through_its_graph(remote: RemoteGraph) -> None:
    """What `docs/reference/compatibility.md` shows."""

    async def consult(state: Consulting, config: RunnableConfig) -> dict[str, Any]:
        question = state.get("question")
        given: Any = (
            {"messages": state["messages"]} if question is None else Command(resume=interrupt(question))
        )
        own: RunnableConfig = {"configurable": {"thread_id": config["configurable"]["thread_id"]}}
        values = await remote.ainvoke(given, own)
        [asked, *_] = values.get("__interrupt__") or [None]
        return {"messages": values["messages"], "question": asked and asked["value"]}

    builder = StateGraph(Consulting)
    builder.add_node("consult", consult)
    builder.add_edge(START, "consult")
    builder.add_conditional_edges("consult", lambda state: END if state["question"] is None else "consult")
    graph = builder.compile(checkpointer=InMemorySaver())
    config: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
    for answer in ("yes", "no"):
        asked = await graph.ainvoke({"messages": [HumanMessage("ask")]}, config)
        assert [each.value for each in asked["__interrupt__"]] == [{"question": "well?"}]
        values = await graph.ainvoke(Command(resume=answer), config)
        assert texts(values)[-2:] == ["ask", f"You said {answer}."]
    assert len(texts(values)) == 4
