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
        if schema.get("type") == "array":
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
        if "maxItems" not in schema
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
