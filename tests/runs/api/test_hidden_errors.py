"""The text of a hidden exception reaches no client, on any route that shows a run's outcome."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

from runs.encoding import decode
from runs.models import RunEvent
from runs.protocols.agent.items import PACK, TOOL
from runs.protocols.sse import HEARTBEAT
from tests.support.api import http, url
from tests.support.graphs import Log
from threads.db.database import in_database
from threads.disclosure import HIDDEN

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "canary-91ab"
MODES = [
    "values", "updates", "messages", "messages-tuple", "tasks", "checkpoints", "debug", "events", "custom", "tools",
    "lifecycle",
]  # fmt: skip


class Unknown(Exception):
    """An exception that clients may not see."""


@tool
def broken(x: int) -> int:
    """Fails."""
    raise Unknown(CANARY)


def fail(state: Log) -> None:
    get_stream_writer()({"why": Unknown(CANARY)})
    raise Unknown(CANARY)


def call_tool(state: Log) -> Any:
    return broken.invoke({"type": "tool_call", "name": "broken", "args": {"x": 1}, "id": "1"})


def route(state: Log) -> str:
    raise Unknown(CANARY)


failing = StateGraph(Log).add_node("fail", fail).add_edge(START, "fail").compile()
deep = StateGraph(Log).add_node("child", failing).add_edge(START, "child").compile()
deeper = StateGraph(Log).add_node("parent", deep).add_edge(START, "parent").compile()
tooled = StateGraph(Log).add_node("call_tool", call_tool).add_edge(START, "call_tool").compile()
routed = (
    StateGraph(Log)
    .add_node("go", lambda state: {"log": ["x"]})
    .add_edge(START, "go")
    .add_conditional_edges("go", route, [END])
    .compile()
)
GRAPHS = ("failing", "deep", "deeper", "tooled", "routed")


@pytest.fixture(autouse=True)
def graphs(run_settings: Any) -> None:
    run_settings(GRAPHS={name: f"{__name__}:{name}" for name in GRAPHS}, STREAM_HEARTBEAT=0.1)


async def watched(http: httpx.AsyncClient, method: str, path: str, **sent: Any) -> str:
    """Read an endless stream up to its second heartbeat."""
    text = b""
    async with http.stream(method, path, **sent) as answer:
        async for chunk in answer.aiter_raw():
            text += chunk
            if text.count(HEARTBEAT) > 1:
                break
    return text.decode()


def modes_with_canary() -> set[str]:
    """The modes of the items that have the text in the log; those for operators are sent to no client."""
    rows = RunEvent.objects.filter(data__contains=CANARY).values_list("event", "data")
    items = [
        (item[0], item) for name, data in rows for item in (decode(data) if name == PACK else [[name, data]])
    ]
    return {mode for mode, item in items if CANARY in str(item)}


@pytest.mark.parametrize("graph", GRAPHS)
async def test_a_hidden_text_reaches_no_client(http: httpx.AsyncClient, graph: str) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    body = {"assistant_id": graph, "input": {"log": []}, "stream_subgraphs": True, "stream_mode": MODES}
    own = f"/threads/{thread}"
    read = {"stream": (await http.post(f"{own}/runs/stream", json=body)).text}
    [run] = (await http.get(f"{own}/runs")).json()
    one = f"{own}/runs/{run['run_id']}"
    for path in (own, f"{own}/state?subgraphs=true", f"{own}/history", f"{own}/runs", one, f"{one}/join"):
        answer = await http.get(path)
        assert answer.status_code == 200, (path, answer.text)
        read[path] = answer.text
    for mode in MODES:
        again = await http.get(f"{one}/stream?stream_mode={mode}", headers={"Last-Event-ID": "-1"})
        read[f"again {mode}"] = again.text
    read["wait"] = (await http.post(f"{own}/runs/wait", json=body)).text
    read["search"] = (await http.post("/threads/search", json={"extract": {"e": "values.log"}})).text
    channels = {
        "channels": ["values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints"]
    }
    read["events"] = await watched(http, "POST", f"{own}/stream/events", json=channels)
    read["thread"] = await watched(http, "GET", f"{own}/stream", headers={"Last-Event-ID": "-"})
    for command in ("state.get", "state.listCheckpoints", "agent.getTree"):
        sent: dict[str, Any] = {"id": 1, "method": command, "params": {}}
        read[command] = (await http.post(f"{own}/commands", json=sent)).text
    assert {name: text for name, text in read.items() if CANARY in text} == {}
    assert await in_database(modes_with_canary) <= ({TOOL} if graph == "tooled" else set())
    assert "Unknown" in read["stream"]
    assert HIDDEN in read["stream"]


@pytest.mark.parametrize("path", ["/state", "copy of it"])
async def test_an_edit_that_fails_tells_no_hidden_text(http: httpx.AsyncClient, path: str) -> None:
    """The edges after a node are called with the client's values."""
    metadata = {"metadata": {"graph_id": "routed"}}
    edit = {"values": {"log": ["x"]}, "as_node": "go"}
    if path == "/state":
        thread = (await http.post("/threads", json=metadata)).json()["thread_id"]
        answer = await http.post(f"/threads/{thread}/state", json=edit)
    else:
        steps = {"supersteps": [{"updates": [edit]}]}
        answer = await http.post("/threads", json={**metadata, **steps})
    assert (answer.status_code, answer.json()) == (400, {"detail": HIDDEN})
