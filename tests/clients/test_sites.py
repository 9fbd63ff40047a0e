"""The requests of agent-chat-ui and LangGraph Studio, sent like by a browser.

Neither can be installed here: one is a site that users deploy, the other a page at
smith.langchain.com without public source. The requests are those of agent-chat-ui's source in
addition to its hook, which is tested in a browser, and those that are known of Studio.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.sse import SSEDecoder

from runs.assistants import system_assistant_id
from tests.clients.conftest import OBEYING
from tests.processes.databases import Template
from tests.processes.harness import Site, eventually

CHAT, STUDIO = "http://localhost:3000", "https://smith.langchain.com"
ASSISTANT = str(system_assistant_id("obeying"))
#: The stream modes of the hook for a page with messages and custom events.
MODES = ["values", "messages-tuple", "custom"]


class Page:
    """A page of another site, in a browser that obeys CORS."""

    def __init__(self, url: str, origin: str, *, private_network: bool = False, **headers: str) -> None:
        self.origin, self.headers = origin, headers
        self.private_network = private_network
        self.http = httpx.Client(base_url=url, headers={"Origin": origin}, timeout=30, trust_env=False)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()

    def ask(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", **more: str
    ) -> Any:
        """Send a request after its CORS preflight; return an answer that the page may read."""
        headers = {**self.headers, **more} | ({"Content-Type": kind} if body is not None else {})
        self._may(method, path, [name for name in headers if (name, kind) != ("Content-Type", "text/plain")])
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.headers["access-control-allow-origin"] in ("*", self.origin)
        return answer

    def get(self, path: str, **more: str) -> Any:
        answer = self.ask("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, **more: Any) -> Any:
        answer = self.ask("POST", path, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stream(self, path: str, body: Any, **more: Any) -> list[tuple[str, Any]]:
        """The events of a run that the page can rejoin."""
        answer = self.ask("POST", path, body, Accept="text/event-stream", **more)
        assert answer.status_code == 200, answer.text
        exposed = answer.headers["access-control-expose-headers"].replace(" ", "").split(",")
        assert {"location", "content-location"} <= set(exposed)
        assert answer.headers["content-location"].startswith(path.removesuffix("/stream"))
        return events(answer.content)

    def _may(self, method: str, path: str, names: list[str]) -> None:
        if method in ("GET", "POST") and not names and not self.private_network:
            return
        wanted = ",".join(sorted(name.lower() for name in names))
        question = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}
        if self.private_network:
            question["Access-Control-Request-Private-Network"] = "true"
        answer = self.http.options(path, headers=question)
        assert answer.status_code in (200, 204), (path, answer.text)
        assert answer.headers["access-control-allow-origin"] in ("*", self.origin)
        assert method in answer.headers["access-control-allow-methods"]
        allowed = answer.headers.get("access-control-allow-headers", "").lower()
        assert set(wanted.split(",")) <= set(allowed.replace(" ", "").split(","))
        if self.private_network:
            assert answer.headers["access-control-allow-private-network"] == "true"


def events(wire: bytes) -> list[tuple[str, Any]]:
    decoder = SSEDecoder()
    parts = [decoder.decode(line) for line in wire.split(b"\r\n")]
    return [(part.event, part.data) for part in parts if part is not None]


def said(text: str) -> dict[str, Any]:
    """A human message in content blocks, as a page sends it."""
    return {"id": str(uuid4()), "type": "human", "content": [{"type": "text", "text": text}]}


def run(**fields: Any) -> dict[str, Any]:
    """The request of the hook for a run."""
    return {
        "assistant_id": "obeying",
        "stream_mode": MODES,
        "stream_subgraphs": True,
        "stream_resumable": True,
        "on_disconnect": "continue",
        **fields,
    }


def last_values(seen: list[tuple[str, Any]]) -> Any:
    return [data for name, data in seen if name == "values"][-1]


# --- agent-chat-ui


@pytest.fixture
def chat(obeying: Site) -> Iterator[Page]:
    # The page also sends a key that was entered for another server.
    with Page(obeying.process.url, CHAT, **{"X-Api-Key": "lsv2_pt_somebody"}) as page:
        yield page


def test_agent_chat_ui_finds_the_server_and_its_threads(chat: Page) -> None:
    assert chat.get("/info")["version"]
    thread = chat.post("/threads", {"metadata": {}})["thread_id"]
    chat.stream(f"/threads/{thread}/runs/stream", run(input={"messages": [said("talk 2")]}))
    for metadata in ({"graph_id": "obeying"}, {"assistant_id": ASSISTANT}):
        found = chat.post("/threads/search", {"metadata": metadata, "limit": 100, "offset": 0})
        mine = next(each for each in found if each["thread_id"] == thread)
        # The list shows the first message of each.
        assert mine["values"]["messages"][0]["content"] == [{"type": "text", "text": "talk 2"}]


def test_agent_chat_ui_answers_again_from_where_a_message_began(chat: Page) -> None:
    thread = chat.post("/threads", {"metadata": {}})["thread_id"]
    path = f"/threads/{thread}/runs/stream"
    first = last_values(chat.stream(path, run(input={"messages": [said("talk 3")], "context": None})))
    states = chat.post(f"/threads/{thread}/history", {"limit": 10})
    answered = [state for state in states if len(state["values"].get("messages", [])) == 2]
    before = {name: each for name, each in answered[-1]["parent_checkpoint"].items() if name != "thread_id"}
    second = last_values(chat.stream(path, run(input=None, checkpoint=before)))
    assert [message["type"] for message in second["messages"]] == ["human", "ai"]
    assert second["messages"][0] == first["messages"][0]
    assert second["messages"][1]["id"] != first["messages"][1]["id"]


def test_agent_chat_ui_answers_a_question(chat: Page) -> None:
    thread = chat.post("/threads", {"metadata": {}})["thread_id"]
    path = f"/threads/{thread}/runs/stream"
    asked = last_values(chat.stream(path, run(input={"messages": [said("ask")]})))
    question = asked["__interrupt__"][0]
    assert question["value"] == {"question": "well?"}
    # "Mark as resolved": LangGraph ignores a `goto` to a node that the graph does not have, and interrupts
    # again.
    again = last_values(chat.stream(path, run(input={}, command={"goto": "__end__"})))
    assert again["__interrupt__"][0]["id"] == question["id"]
    assert chat.get(f"/threads/{thread}/state")["tasks"][0]["interrupts"][0]["id"] == question["id"]
    chat.stream(path, run(input={}, command={"resume": [{"type": "accept", "args": None}]}))
    after = chat.post(f"/threads/{thread}/history", {"limit": 10})[0]
    assert (after["next"], after["tasks"]) == ([], [])
    assert after["values"]["messages"][-1]["content"] == "You said [{'type': 'accept', 'args': None}]."


def test_agent_chat_ui_stops_a_run(chat: Page) -> None:
    thread = chat.post("/threads", {"metadata": {}})["thread_id"]
    created = chat.post(f"/threads/{thread}/runs", run(input={"messages": [said("talk 500 0.1")]}))
    cancel = f"/threads/{thread}/runs/{created['run_id']}/cancel?wait=0&action=interrupt"
    assert chat.ask("POST", cancel).status_code == 202
    eventually(
        lambda: chat.get(f"/threads/{thread}")["status"] in ("interrupted", "idle"), what="it has stopped"
    )


# --- LangGraph Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, template: Template, cache: Path) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("studio")
    with template.copy(folder) as database:
        site = Site(folder, database, cache=cache, graphs=OBEYING)
        try:
            site.start(run_settings={"CORS_ORIGINS": [STUDIO]})
            with Page(
                site.process.url, STUDIO, private_network=True, **{"x-auth-scheme": "langsmith"}
            ) as page:
                yield page
        finally:
            site.close()


def test_studio_reads_the_graphs(studio: Page) -> None:
    assert studio.get("/ok") == {"ok": True, "services": {}}
    assert tuple(map(int, studio.get("/info")["version"].split("."))) >= (0, 4, 35)
    found = studio.post(
        "/assistants/search",
        {"limit": 1000, "offset": 0, "metadata": {"created_by": "system"}},
        kind="text/plain",
    )
    assert ASSISTANT in {each["assistant_id"] for each in found}
    schemas = studio.get(f"/assistants/{ASSISTANT}/schemas")
    assert {name for name in schemas if name.endswith("_schema")} == {
        "input_schema", "output_schema", "state_schema", "config_schema", "context_schema",
    }  # fmt: skip
    drawn = {
        xray: {node["id"] for node in studio.get(f"/assistants/{ASSISTANT}/graph?xray={xray}")["nodes"]}
        for xray in ("true", "false")
    }
    assert ("team" in drawn["false"], "team:member" in drawn["true"]) == (True, True)
    assert list(studio.get(f"/assistants/{ASSISTANT}/subgraphs?recurse=true")) == [
        "team",
        "firm",
        "firm|team",
    ]


def test_studio_runs_a_graph_step_by_step_and_edits_its_past(studio: Page) -> None:
    thread = studio.post("/threads", {"metadata": {"graph_id": "obeying"}}, kind="text/plain")["thread_id"]
    path = f"/threads/{thread}/runs/stream"
    body = {
        "assistant_id": ASSISTANT,
        "input": {"messages": [{"type": "human", "content": "march 2"}]},
        "config": {"configurable": {}, "tags": [], "recursion_limit": 25},
        "metadata": {},
        "stream_mode": ["debug", "messages"],
        "stream_subgraphs": True,
        "stream_resumable": True,
        "multitask_strategy": "rollback",
        "interrupt_before": ["step"],
        "interrupt_after": [],
        "checkpoint_during": True,
    }
    seen = studio.stream(path, body, kind="text/plain")
    steps = [data["payload"] for name, data in seen if name == "debug" and data["type"] == "checkpoint"]
    assert steps[-1]["next"] == ["step"]
    assert steps[-1]["checkpoint"]["thread_id"] == thread
    studio.stream(path, {**body, "input": None, "interrupt_before": []}, kind="text/plain")
    states = studio.post(f"/threads/{thread}/history", {"limit": 1000}, kind="text/plain")
    assert states[0]["values"]["steps"] == 2
    past = next(state for state in states if state["next"] == ["step"])
    assert studio.get(f"/threads/{thread}/state/{past['checkpoint_id']}?subgraphs=true")["next"] == ["step"]
    at = {"checkpoint": past["checkpoint"], "subgraphs": True}
    assert studio.post(f"/threads/{thread}/state/checkpoint", at, kind="text/plain")["next"] == ["step"]
    edit = {"values": {"steps": 1}, "as_node": "step", "checkpoint": past["checkpoint"]}
    forked = studio.post(f"/threads/{thread}/state", edit, kind="text/plain")["checkpoint"]
    again = studio.stream(path, {**body, "input": None, "checkpoint": forked, "interrupt_before": []})
    assert again
    assert studio.get(f"/threads/{thread}/state")["values"]["steps"] == 2
    run_id = studio.get(f"/threads/{thread}/runs?limit=1")[0]["run_id"]
    assert studio.get(f"/threads/{thread}/runs/{run_id}/join")["steps"] == 2


def test_studio_lists_what_there_is(studio: Page) -> None:
    thread = studio.post("/threads", {"metadata": {"graph_id": "obeying"}})["thread_id"]
    search = {
        "limit": 20,
        "offset": 0,
        "metadata": {"graph_id": "obeying"},
        "sort_by": "updated_at",
        "sort_order": "desc",
        "select": ["thread_id", "status", "metadata", "created_at", "updated_at"],
        "extract": {"first": "values.messages[0].content"},
    }
    answer = studio.ask("POST", "/threads/search", search, kind="text/plain")
    assert answer.json()[0]["thread_id"] == thread
    assert {"x-pagination-total", "x-pagination-next"} <= set(
        answer.headers["access-control-expose-headers"].replace(" ", "").split(",")
    )
    mine = studio.post("/assistants", {"graph_id": "obeying", "name": "Mine", "config": {}, "metadata": {}})
    name = mine["assistant_id"]
    assert studio.ask("PATCH", f"/assistants/{name}", {"name": "Ours"}).json()["version"] == 2
    assert len(studio.post(f"/assistants/{name}/versions", {"limit": 100, "offset": 0})) == 2
    assert studio.post(f"/assistants/{name}/latest", {"version": 1})["name"] == "Mine"
    put = {"namespace": ["notes"], "key": "a", "value": {"text": "b"}}
    assert studio.ask("PUT", "/store/items", put).status_code == 204
    assert len(studio.post("/store/items/search", {"namespace_prefix": ["notes"], "limit": 10})["items"]) == 1
    assert studio.post("/store/namespaces", {"prefix": [], "max_depth": 3})["namespaces"] == [["notes"]]
    assert studio.post("/runs/crons/search", {"limit": 10, "offset": 0, "assistant_id": ASSISTANT}) == []
    assert studio.ask("DELETE", f"/threads/{thread}").status_code == 204


def test_a_site_that_is_not_allowed_is_not_told_anything(studio: Page) -> None:
    other = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    assert studio.http.options("/threads/search", headers=other).status_code == 403
    answer = studio.http.post("/threads/search", json={}, headers={**other, "x-auth-scheme": "langsmith"})
    assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (403, None)
