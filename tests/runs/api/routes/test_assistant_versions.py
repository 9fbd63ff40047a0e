"""Assistants that clients create, change and delete."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

from runs.assistants import definition, system_assistant_id
from runs.models import Assistant, AssistantVersion, Run
from runs.requests.run import BOTH_CONFIGURABLE_AND_CONTEXT, ContradictoryRequest
from runs.retention import assistants, thread_deletion
from tests.runs.api.routes.test_streams import eventually
from threads.db.database import in_database
from threads.models import Thread

MISSING = "33333333-3333-4333-8333-333333333333"
BLANK = definition.BLANK | {"graph_id": "steps"}


# --- a client's fields


def test_the_context_and_the_configurable_are_the_same_values() -> None:
    by_config = definition.changed(BLANK, {"config": {"configurable": {"k": 1}, "tags": ["t"]}})
    assert (by_config["config"], by_config["context"]) == (
        {"configurable": {"k": 1}, "tags": ["t"]},
        {"k": 1},
    )
    by_context = definition.changed(by_config, {"context": {"k": 2}})
    assert (by_context["config"], by_context["context"]) == (
        {"configurable": {"k": 2}, "tags": ["t"]},
        {"k": 2},
    )
    emptied = definition.changed(by_context, {"context": {}})
    assert (emptied["config"], emptied["context"]) == ({"tags": ["t"]}, {})
    other = definition.changed(by_context, {"config": {"recursion_limit": 5}})
    assert (other["config"], other["context"]) == ({"recursion_limit": 5}, {"k": 2})
    both = definition.changed(by_context, {"config": {"recursion_limit": 5}, "context": {"k": 3}})
    assert (both["config"], both["context"]) == ({"recursion_limit": 5, "configurable": {"k": 3}}, {"k": 3})
    assert by_config["config"]["configurable"] == {"k": 1}


def test_both_at_once_contradict_each_other() -> None:
    with pytest.raises(ContradictoryRequest, match=BOTH_CONFIGURABLE_AND_CONTEXT[:40]):
        definition.changed(BLANK, {"config": {"configurable": {"k": 1}}, "context": {"k": 1}})


def test_what_belongs_to_the_server_is_left_out_under_each_name() -> None:
    stolen = {"thread_id": MISSING, "__pregel_durability": "exit", "langgraph_auth_user": "root", "k": 1}
    said = definition.changed(BLANK, {"context": stolen, "metadata": {"user_id": 1, "run_id": 2, "m": 3}})
    assert said["config"]["configurable"] == {"k": 1}
    assert said["metadata"] == {"m": 3}
    said = definition.changed(BLANK, {"config": {"configurable": stolen, "callbacks": ["x"]}})
    assert (said["config"], said["context"]) == ({"configurable": {"k": 1}}, {"k": 1})


# --- create


async def test_an_assistant_is_what_the_client_said(sdk: LangGraphClient) -> None:
    made = await sdk.assistants.create(
        "steps",
        config={"tags": ["t"], "configurable": {"k": 1}},
        metadata={"m": 1},
        name="A",
        description="d",
    )
    assert UUID(made["assistant_id"]).version == 4
    assert {**made, "assistant_id": "", "created_at": "", "updated_at": ""} == {
        "assistant_id": "", "graph_id": "steps", "config": {"tags": ["t"], "configurable": {"k": 1}},
        "context": {"k": 1}, "metadata": {"m": 1}, "name": "A", "created_at": "", "updated_at": "", "version": 1,
        "description": "d",
    }  # fmt: skip
    assert await sdk.assistants.get(made["assistant_id"]) == made
    assert await sdk.assistants.count(metadata={"m": 1}) == 1
    plain = await sdk.assistants.create("steps", context={"k": 2})
    assert (plain["name"], plain["description"], plain["config"]) == (
        "Untitled",
        None,
        {"configurable": {"k": 2}},
    )


async def test_an_id_is_taken_once(sdk: LangGraphClient) -> None:
    name = str(uuid4())
    made = await sdk.assistants.create("steps", assistant_id=name, name="first")
    with pytest.raises(ConflictError, match=f"Assistant {name} already exists"):
        await sdk.assistants.create("steps", assistant_id=name)
    again = await sdk.assistants.create("talking", assistant_id=name, if_exists="do_nothing")
    assert again == made
    system = str(system_assistant_id("steps"))
    there = await sdk.assistants.create("steps", assistant_id=system, if_exists="do_nothing")
    assert there["metadata"] == {"created_by": "system"}


async def test_somebody_elses_id_is_not_given_away(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    name = str(uuid4())
    await stranger.post("/assistants", json={"graph_id": "steps", "assistant_id": name})
    body = {"graph_id": "steps", "assistant_id": name, "if_exists": "do_nothing"}
    answer = await http.post("/assistants", json=body)
    assert (answer.status_code, answer.json()) == (409, {"detail": f"Assistant {name} already exists"})


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({}, 422, "graph_id is required."),
    ({"graph_id": "nope"}, 404, "Graph 'nope' not found. Expected one of: ['agent', "),
    ({"graph_id": "steps", "assistant_id": "x"}, 422, "assistant_id: input should be a valid UUID"),
    ({"graph_id": "steps", "if_exists": "x"}, 422, "if_exists: input should be 'raise' or 'do_nothing'."),
    ({"graph_id": "steps", "name": "x" * 256}, 422, "name: string should have at most 255 characters."),
    ({"graph_id": "steps", "config": []}, 422, "config: input should be a valid dictionary."),
    ({"graph_id": "steps", "config": {"recursion_limit": -1}}, 422, "config.recursion_limit must be a "),
    (
        {"graph_id": "steps", "config": {"configurable": {"a": 1}}, "context": {"b": 1}},
        400,
        "Cannot specify both configurable and context.",
    ),
]


async def test_an_assistant_that_cannot_be_is_refused(http: httpx.AsyncClient) -> None:
    before = (await http.post("/assistants/count", json={})).json()
    for body, status, detail in REFUSED:
        answer = await http.post("/assistants", json=body)
        assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (status, detail)
    assert (await http.post("/assistants/count", json={})).json() == before


# --- change


async def test_each_change_is_a_version_and_each_version_can_be_had_again(sdk: LangGraphClient) -> None:
    first = await sdk.assistants.create("steps", context={"k": 1}, metadata={"m": 1}, name="A")
    name = first["assistant_id"]
    second = await sdk.assistants.update(
        name, context={"k": 5}, metadata={"n": 2}, name="B", graph_id="talking"
    )
    assert (second["version"], second["metadata"], second["name"]) == (2, {"m": 1, "n": 2}, "B")
    assert (second["context"], second["config"]) == ({"k": 5}, {"configurable": {"k": 5}})
    assert (second["graph_id"], second["created_at"]) == ("talking", first["created_at"])
    assert second["updated_at"] > first["updated_at"]

    versions = await sdk.assistants.get_versions(name)
    assert [list(each) for each in versions] == [
        ["assistant_id", "version", "graph_id", "config", "context", "metadata", "created_at", "name", "description"]
    ] * 2  # fmt: skip
    assert [each["version"] for each in versions] == [2, 1]
    assert (versions[1]["context"], versions[1]["name"]) == ({"k": 1}, "A")
    assert [each["version"] for each in await sdk.assistants.get_versions(name, metadata={"n": 2})] == [2]
    assert [each["version"] for each in await sdk.assistants.get_versions(name, limit=1, offset=1)] == [1]

    latest = await sdk.assistants.set_latest(name, 1)
    # The whole version is restored, including its context and graph.
    assert {**latest, "updated_at": ""} == {**first, "updated_at": ""}
    assert (await sdk.assistants.update(name, name="C"))["version"] == 3
    with pytest.raises(NotFoundError, match=f"Version 99 not found for assistant {name}"):
        await sdk.assistants.set_latest(name, 99)


async def test_changes_at_once_make_a_version_each(sdk: LangGraphClient) -> None:
    name = (await sdk.assistants.create("steps"))["assistant_id"]
    answers = await asyncio.gather(
        *(sdk.assistants.update(name, metadata={str(number): number}) for number in range(8))
    )
    assert sorted(each["version"] for each in answers) == list(range(2, 10))
    versions = await sdk.assistants.get_versions(name, limit=100)
    assert [each["version"] for each in versions] == list(range(9, 0, -1))
    # None is lost: each one builds on the previous one.
    assert [len(each["metadata"]) for each in versions] == list(range(8, -1, -1))
    assert (await sdk.assistants.get(name))["metadata"] == {str(number): number for number in range(8)}


async def test_null_says_nothing(http: httpx.AsyncClient) -> None:
    made = (await http.post("/assistants", json={"graph_id": "steps", "description": "d"})).json()
    nothing = dict.fromkeys(("graph_id", "config", "context", "metadata", "name", "description"))
    answer = (await http.patch(f"/assistants/{made['assistant_id']}", json=nothing)).json()
    assert {**answer, "version": 1, "updated_at": made["updated_at"]} == made


async def test_a_change_to_a_graph_that_does_not_exist_changes_nothing(http: httpx.AsyncClient) -> None:
    made = (await http.post("/assistants", json={"graph_id": "steps"})).json()
    path = f"/assistants/{made['assistant_id']}"
    assert (await http.patch(path, json={"graph_id": "nope", "name": "x"})).status_code == 404
    assert (await http.get(path)).json() == made


REQUESTS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("PATCH", "", {}, "Assistant {} not found"),
    ("DELETE", "", None, "Assistant with ID {} not found"),
    ("DELETE", "?delete_threads=1", None, "Assistant with ID {} not found"),
    ("POST", "/versions", {}, "Assistant {} not found"),
    ("POST", "/latest", {"version": 1}, "Assistant {} not found"),
    ("GET", "/schemas", None, "Not Found"),
    ("GET", "/subgraphs", None, "Not Found"),
    ("GET", "/graph", None, "Thread or assistant not found."),
]


async def test_what_is_not_yours_is_not_there(http: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    theirs = (await stranger.post("/assistants", json={"graph_id": "steps"})).json()
    for method, path, body, detail in REQUESTS:
        for name in (theirs["assistant_id"], MISSING):
            answer = await http.request(method, f"/assistants/{name}{path}", json=body)
            assert (answer.status_code, answer.json()) == (404, {"detail": detail.format(name)})
    assert (await stranger.get(f"/assistants/{theirs['assistant_id']}")).json() == theirs


async def test_the_servers_own_assistants_are_everybodys_to_read_and_nobodys_to_change(
    http: httpx.AsyncClient,
) -> None:
    path = f"/assistants/{system_assistant_id('steps')}"
    before = (await http.get(path)).json()
    for method, below, body in (
        ("PATCH", "", {"name": "mine"}), ("DELETE", "", None), ("POST", "/latest", {"version": 1})
    ):  # fmt: skip
        answer = await http.request(method, path + below, json=body)
        assert answer.status_code == 403
        assert "belongs to the server" in answer.json()["detail"]
    assert (await http.get(path)).json() == before
    [version] = (await http.post(f"{path}/versions", json={})).json()
    assert (version["version"], version["graph_id"]) == (1, "steps")


# --- runs


async def test_a_run_goes_on_with_what_its_assistant_said_when_it_was_accepted(sdk: LangGraphClient) -> None:
    name = (await sdk.assistants.create("steps", context={"k": 1}))["assistant_id"]
    run = await sdk.runs.create(None, name, input={"log": []}, after_seconds=0.4, on_completion="keep")
    await sdk.assistants.update(name, graph_id="failing", context={"k": 2})
    result: Any = await sdk.runs.join(run["thread_id"], run["run_id"])
    assert len(result["log"]) == 10
    assert (await sdk.runs.get(run["thread_id"], run["run_id"]))["status"] == "success"
    assert run["kwargs"]["config"]["configurable"] == {"k": 1, "graph_id": "steps"}


async def test_a_deleted_assistant_takes_no_runs_and_ends_those_that_it_has(http: httpx.AsyncClient) -> None:
    name = (await http.post("/assistants", json={"graph_id": "sleeping", "context": {"secret": "s"}})).json()[
        "assistant_id"
    ]
    body = {"assistant_id": name, "input": {"log": [], "delay": 0.0}, "on_completion": "keep"}
    done = (await http.post("/runs/wait", json=body)).headers["content-location"].rpartition("/")[2]
    body["input"]["delay"] = 60  # type: ignore[index]
    running = (await http.post("/runs", json=body)).json()
    waiting = (await http.post("/runs", json={**body, "after_seconds": 60})).json()
    answer = await http.delete(f"/assistants/{name}")
    assert (answer.status_code, answer.content) == (204, b"")

    for run in (running, waiting):
        path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
        ended = await eventually(http, path, lambda run: run["status"] not in ("pending", "running"))
        # Accepted runs still name their assistant.
        assert (ended["status"], ended["assistant_id"]) == ("interrupted", name)
    assert await in_database(lambda: Run.objects.get(id=done).status) == "success"
    assert (await http.delete(f"/assistants/{name}")).status_code == 404
    assert (await http.get(f"/assistants/{name}")).status_code == 404
    assert (await http.post("/assistants/search", json={"graph_id": "sleeping", "limit": 100})).json()[
        1:
    ] == []
    refused = await http.post("/runs", json=body)
    assert (refused.status_code, refused.json()) == (404, {"detail": "Thread or assistant not found."})
    row = await in_database(Assistant.objects.get, id=name)
    assert (row.config, row.context, await in_database(row.versions.count)) == ({}, {}, 0)


async def test_the_threads_of_a_deleted_assistant_go_only_on_request(http: httpx.AsyncClient) -> None:
    names = [
        (await http.post("/assistants", json={"graph_id": "sleeping"})).json()["assistant_id"] for _ in "ab"
    ]
    threads = []
    for name in names:
        for delay in (0.0, 60):
            run = (await http.post("/runs", json={
                "assistant_id": name, "input": {"log": [], "delay": delay}, "on_completion": "keep",
            })).json()  # fmt: skip
            if not delay:
                await http.get(f"/runs/{run['run_id']}/join")
            threads.append(run["thread_id"])
    assert (await http.delete(f"/assistants/{names[0]}?delete_threads=true")).status_code == 204
    assert (await http.delete(f"/assistants/{names[1]}")).status_code == 204
    codes = [(await http.get(f"/threads/{thread}")).status_code for thread in threads]
    assert codes == [404, 404, 200, 200]


async def test_all_threads_of_an_assistant_are_hidden_before_one_is_removed(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages they fill, and although the time for their removal is over at once."""
    name = (await http.post("/assistants", json={"graph_id": "sleeping"})).json()["assistant_id"]
    body = {"assistant_id": name, "input": {"log": [], "delay": 60}, "on_completion": "keep"}
    runs = [(await http.post("/runs", json=body)).json() for _ in range(3)]
    monkeypatch.setattr(assistants, "THREADS", 2)
    monkeypatch.setattr(thread_deletion, "PATIENCE", 0.0)
    assert (await http.delete(f"/assistants/{name}?delete_threads=true")).status_code == 204
    found = Run.objects.filter(id__in=[run["run_id"] for run in runs])
    assert set(await in_database(list, found.values_list("status", flat=True))) == {"interrupted"}
    assert [(await http.get(f"/threads/{run['thread_id']}")).status_code for run in runs] == [404] * 3


async def test_an_id_can_be_used_again(http: httpx.AsyncClient) -> None:
    name = str(uuid4())
    made = (await http.post("/assistants", json={"graph_id": "steps", "assistant_id": name})).json()
    await http.patch(f"/assistants/{name}", json={"metadata": {"old": 1}})
    run = (
        await http.post("/runs", json={"assistant_id": name, "input": {"log": []}, "on_completion": "keep"})
    ).json()
    await http.get(f"/runs/{run['run_id']}/join")
    await http.delete(f"/assistants/{name}")
    again = (await http.post("/assistants", json={"graph_id": "talking", "assistant_id": name})).json()
    assert (again["version"], again["metadata"], again["graph_id"]) == (1, {}, "talking")
    assert again["created_at"] > made["created_at"]
    assert len((await http.post(f"/assistants/{name}/versions", json={})).json()) == 1


async def test_a_users_assistants_go_with_the_user(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    name = (await stranger.post("/assistants", json={"graph_id": "steps"})).json()["assistant_id"]
    await in_database(lambda: get_user_model().objects.get(username="stranger").delete())
    assert not await in_database(lambda: AssistantVersion.objects.filter(assistant_id=name).exists())
    assert not await in_database(Thread.objects.exists)


# --- its graph


async def test_a_graph_is_drawn_as_clients_read_it(sdk: LangGraphClient, http: httpx.AsyncClient) -> None:
    drawn = await sdk.assistants.get_graph("nested")
    assert drawn["nodes"] == [
        *({"id": name, "type": "runnable", "data": {"name": name}} for name in ("__start__", "first", "child", "fan")),
        {"id": "__end__"},
    ]  # fmt: skip
    assert {"source": "child", "target": "fan", "conditional": True} in drawn["edges"]
    system = str(system_assistant_id("nested"))
    assert await sdk.assistants.get_graph(system) == drawn
    deep = await sdk.assistants.get_graph(system, xray=True)
    assert {"child:x", "child:y"} <= {node["id"] for node in deep["nodes"]}
    for text in ("1", "2", "True"):
        assert (await http.get(f"/assistants/nested/graph?xray={text}")).json() == deep
    for text in ("0", "false", ""):
        assert (await http.get(f"/assistants/nested/graph?xray={text}")).json() == drawn
    for text in ("-1", "x", "1.5", "99999"):
        answer = await http.get(f"/assistants/nested/graph?xray={text}")
        assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid xray value"})
    unknown = await http.get("/assistants/nope/graph")
    assert (unknown.status_code, unknown.json()["detail"][:25]) == (422, "Invalid assistant: 'nope'")


async def test_schemas_say_what_a_form_needs(sdk: LangGraphClient, http: httpx.AsyncClient) -> None:
    schemas = await sdk.assistants.get_schemas(str(system_assistant_id("talking")))
    assert list(schemas) == [
        "graph_id", "input_schema", "output_schema", "state_schema", "config_schema", "context_schema"
    ]  # fmt: skip
    assert (schemas["graph_id"], schemas["context_schema"]) == ("talking", None)
    for name in ("input_schema", "output_schema", "state_schema"):
        assert {"messages", "tokens", "delay"} <= set(schemas[name]["properties"])
    answer = await http.get("/assistants/talking/schemas")
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid assistant ID: must be a UUID"})


async def test_subgraphs_are_found_by_their_namespaces(sdk: LangGraphClient, http: httpx.AsyncClient) -> None:
    system = str(system_assistant_id("nested"))
    found = await sdk.assistants.get_subgraphs(system)
    assert list(found) == ["child"]
    assert list(found["child"]) == [
        "input_schema", "output_schema", "state_schema", "config_schema", "context_schema"
    ]  # fmt: skip
    assert found["child"]["input_schema"]["properties"]["log"]["type"] == "array"
    assert await sdk.assistants.get_subgraphs(system, recurse=True) == found
    assert await sdk.assistants.get_subgraphs(system, namespace="child") == found
    missing = await http.get(f"/assistants/{system}/subgraphs/nope")
    assert missing.status_code == 404
    assert await sdk.assistants.get_subgraphs(str(system_assistant_id("steps"))) == {}
