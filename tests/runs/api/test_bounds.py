"""Every list that a client sends has a maximum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from runs.api.openapi.document import document
from runs.api.site import api
from threads.api.schemas import MOST_WANTED, few


def arrays(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "array" or isinstance(schema.get("additionalProperties"), dict):
            yield place, schema
        for name, each in schema.items():
            yield from arrays(each, f"{place}.{name}")
    elif isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from arrays(each, f"{place}.{number}")


def test_every_list_of_a_body_has_a_maximum() -> None:
    whole = document(api)
    reached: set[str] = set()
    waiting = [
        name
        for methods in whole["paths"].values()
        for operation in methods.values()
        for name in _named(operation.get("requestBody"))
    ]
    while waiting:
        if (name := waiting.pop()) not in reached:
            reached.add(name)
            waiting += _named(whole["components"]["schemas"][name])
    assert len(reached) > 15
    unbounded = [
        place
        for name in reached
        for place, schema in arrays(whole["components"]["schemas"][name], name)
        if not {"maxItems", "maxProperties"} & schema.keys()
    ]
    assert unbounded == []


def _named(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].rsplit("/", 1)[1]] if isinstance(schema.get("$ref"), str) else []
        return own + [name for each in schema.values() for name in _named(each)]
    return [name for each in schema for name in _named(each)] if isinstance(schema, list) else []


def test_a_condition_on_json_has_a_maximum() -> None:
    assert few({"a": list(range(MOST_WANTED - 2))})
    wanted: Any
    for wanted in (
        {"a": list(range(MOST_WANTED + 1))},
        {str(number): 1 for number in range(101)},
        {"a": [[[]] * 200]},
    ):
        with pytest.raises(ValueError, match="at most 100"):
            few(wanted)


async def test_metadata_have_a_maximum_wherever_they_are_said(http: httpx.AsyncClient) -> None:
    many = {"metadata": {f"k{number}": number for number in range(10_001)}}
    run = {"assistant_id": "steps", "schedule": "0 0 1 1 *"}
    bodies = {
        "/threads": {},
        "/assistants": {"graph_id": "steps"},
        **dict.fromkeys(("/runs", "/runs/wait", "/runs/crons"), run),
    }
    for path, body in bodies.items():
        answer = await http.post(path, json={**body, **many})
        assert (answer.status_code, "at most 10000 values" in answer.text) == (422, True), (path, answer.text)
    answer = await http.post("/runs/batch", json=[{**run, **many}])
    assert answer.status_code == 422


async def test_configurations_have_a_maximum_of_values(http: httpx.AsyncClient) -> None:
    many = {"configurable": {f"k{number}": number for number in range(10_001)}}
    for path, body in {"/runs": {"assistant_id": "steps"}, "/assistants": {"graph_id": "steps"}}.items():
        for said in ({"config": many}, {"context": many["configurable"]}):
            answer = await http.post(path, json={**body, **said})
            assert (answer.status_code, "at most 10000 values" in answer.text) == (422, True), answer.text


@pytest.mark.parametrize("path", ["/runs", "/runs/wait", "/runs/stream", "/threads/{}/runs", "/runs/crons"])
async def test_a_configuration_has_a_maximum_of_bytes(
    http: httpx.AsyncClient, run_settings: Any, path: str
) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    run_settings(ASSISTANT_LIMIT=2000)
    body = {"assistant_id": "steps", "input": {"log": ["x" * 3000]}, "schedule": "0 0 1 1 *"}
    large: dict[str, Any]
    for large in ({"metadata": {"a": "x" * 2000}}, {"context": {"a": "x" * 2000}}):
        answer = await http.post(path.format(thread), json={**body, **large})
        assert (answer.status_code, "2000 bytes" in answer.text) == (413, True), answer.text
    assert (await http.post(path.format(thread), json=body)).status_code == 200


async def test_the_targets_of_a_command_have_a_maximum(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={"metadata": {"graph_id": "steps"}})).json()["thread_id"]
    command = {"goto": [{"node": "s0", "input": {}}] * 101}
    run = {"assistant_id": "steps", "command": command, "schedule": "0 0 1 1 *"}
    step = {"updates": [{"command": {"goto": command["goto"][:60]}, "as_node": "s0"}] * 2}
    bodies: dict[str, Any] = {
        **dict.fromkeys(
            ("/runs", "/runs/crons", f"/threads/{thread}/runs", f"/threads/{thread}/runs/stream"), run
        ),
        "/runs/batch": [run],
        "/threads": {"metadata": {"graph_id": "steps"}, "supersteps": [step]},
    }
    for path, body in bodies.items():
        answer = await http.post(path, json=body)
        detail = "command.goto has at most 100 targets."
        assert (answer.status_code, answer.json()) == (422, {"detail": detail}), path


async def test_the_updates_of_a_new_thread_have_a_maximum(http: httpx.AsyncClient) -> None:
    step = {"updates": [{"values": {"log": []}, "as_node": "s0"}] * 100}
    body = {"metadata": {"graph_id": "steps"}, "supersteps": [step] * 11}
    answer = await http.post("/threads", json=body)
    assert (answer.status_code, "at most 1000 updates" in answer.text) == (422, True), answer.text


async def test_a_checkpoints_address_has_a_maximum(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={"metadata": {"graph_id": "steps"}})).json()["thread_id"]
    many = {"checkpoint_map": {f"a:{number}": thread for number in range(1001)}}
    for place in (many, {"checkpoint_id": thread, "checkpoint_ns": "x" * 2001}):
        bodies = {
            "runs": {"assistant_id": "steps", "checkpoint": place},
            "runs/crons": {"assistant_id": "steps", "checkpoint": place, "schedule": "0 0 1 1 *"},
            "state": {"values": {"log": []}, "checkpoint": place},
            "state/checkpoint": {"checkpoint": place},
            "history": {"checkpoint": place},
        }
        for path, body in bodies.items():
            answer = await http.post(f"/threads/{thread}/{path}", json=body)
            assert (answer.status_code, "at most" in answer.text) == (422, True), (path, answer.text)
    command = {"id": 1, "method": "state.get", "params": {"namespace": ["x" * 1000] * 2}}
    answer = await http.post(f"/threads/{thread}/commands", json=command)
    assert "at most 2000 bytes" in answer.json()["message"]


async def test_every_condition_on_json_has_a_maximum(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    assistant = (await http.post("/assistants", json={"graph_id": "steps"})).json()["assistant_id"]
    wanted = {"a": list(range(200))}
    bodies = {
        "/threads/search": {"values": wanted},
        "/assistants/search": {"metadata": wanted},
        "/assistants/count": {"metadata": wanted},
        f"/assistants/{assistant}/versions": {"metadata": wanted},
        "/runs/crons/search": {"metadata": wanted},
        "/runs/crons/count": {"metadata": wanted},
        f"/threads/{thread}/history": {"metadata": wanted},
        "/store/items/search": {"filter": wanted},
    }
    for path, body in bodies.items():
        answer = await http.post(path, json=body)
        assert (answer.status_code, "at most 100 values" in answer.text) == (422, True), (path, answer.text)


async def test_a_name_is_looked_for_that_a_database_can_compare(http: httpx.AsyncClient) -> None:
    for path in ("/assistants/search", "/assistants/count"):
        assert (await http.post(path, json={"name": "%" * 255})).status_code == 200
        assert (await http.post(path, json={"name": "x" * 256})).status_code == 422


async def test_only_the_first_of_many_values_is_wrong(http: httpx.AsyncClient) -> None:
    """Each value that is wrong would be an error of its own."""
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    many = {f"k{number}": number for number in range(2000)}
    for path, body in {
        "/threads/search": {"extract": many},
        f"/threads/{thread}/state/checkpoint": {"checkpoint": {"checkpoint_map": many}},
    }.items():
        answer = await http.post(path, json=body)
        assert (answer.status_code, "dictionary should have at most" in answer.text) == (422, True), (
            answer.text
        )


async def test_more_parameters_than_django_reads_are_the_clients_mistake(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    answer = await http.get(f"/threads/{thread}/history?" + "select=values&" * 1001)
    assert (answer.status_code, answer.json()) == (400, {"detail": "The request has too many parameters."})


async def test_an_error_quotes_no_more_than_a_part(http: httpx.AsyncClient) -> None:
    item = {"namespace": ["langgraph", "x" * 100_000], "key": "k", "value": {}}
    answer = await http.put("/store/items", json=item)
    assert answer.status_code == 400
    assert len(answer.json()["detail"]) < 3000


async def test_a_number_that_no_event_has(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    for number in ("9" * 5000, "9" * 19, "-1", "x"):
        answer = await http.post(
            f"/threads/{thread}/stream/events",
            json={"channels": ["values"]},
            headers={"Last-Event-ID": number},
        )
        assert (answer.status_code, "last-event-id" in answer.text) == (400, True)
