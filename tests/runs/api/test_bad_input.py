"""Invalid input gets a clear refusal on every route. `test_any_request` has generated requests."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from runs.api.openapi.document import document
from runs.api.site import api
from runs.execution.resume import source
from tests.runs.requests.test_parsing import nested

MISSING = "33333333-3333-4333-8333-333333333333"

BODIES = {
    "empty": b"",
    "blank": b" ",
    "cut off": b'{"metadata": {',
    "two": b"{}{}",
    "NaN": b'{"metadata": {"a": NaN}}',
    "Infinity": b'{"limit": Infinity}',
    "overflow": b'{"metadata": {"a": 1e999}}',
    "lone surrogate": b'{"metadata": {"a": "\\ud800"}}',
    "latin-1": b'{"metadata": {"a": "\xe4"}}',
    "UTF-16": '{"metadata": {}}'.encode("utf-16"),
    "deep": nested(70),
    "very deep": b"[" * 100_000,
    "a form": b"graph_id=steps&assistant_id=steps",
}


VALUES = ("%00", "%ED%A0%80", "%FF", "9" * 400, "-1", "1e999", "NaN", "[", "{}", "'", "")
NAMES = ("%00", "%ED%A0%80", "a|b", "..%2f", "9" * 300, "%F0%9F%92%A9")


def routes(*, with_body: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document(api)["paths"].items():
        for method, operation in methods.items():
            if ("requestBody" in operation) == with_body:
                filled = re.sub(r"{\w+}", MISSING, path)
                yield method.upper(), filled, operation


async def test_what_is_no_json_is_refused_everywhere(http: httpx.AsyncClient) -> None:
    for method, path, _ in routes(with_body=True):
        for name, body in BODIES.items():
            answer = await http.request(method, path, content=body)
            assert answer.status_code in (400, 422), (method, path, name, answer.text)
            assert isinstance(answer.json()["detail"], str)


async def test_json_of_another_kind_is_refused_everywhere(http: httpx.AsyncClient) -> None:
    for method, path, _ in routes(with_body=True):
        for body in (b"5", b'"x"', b"[1]", b"true", b"1e308", b"99999999999999999999999999"):
            answer = await http.request(method, path, content=body)
            assert 400 <= answer.status_code < 500, (method, path, body, answer.text)


async def test_no_parameter_is_a_servers_error(http: httpx.AsyncClient) -> None:
    for method, path, operation in routes(with_body=False):
        names = [each["name"] for each in operation["parameters"] if each["in"] == "query"]
        for name, value in itertools.product(names, VALUES):
            answer = await http.request(method, f"{path}?{name}={value}", headers={"Last-Event-ID": value})
            assert answer.status_code < 500, (method, path, name, value, answer.text)


async def test_no_name_in_a_path_is_a_servers_error(http: httpx.AsyncClient) -> None:
    for path, methods in document(api)["paths"].items():
        for method, name in itertools.product(methods, NAMES if "{" in path else ()):
            answer = await http.request(method, re.sub(r"{\w+}", name, path), json={})
            assert 400 <= answer.status_code < 500, (method, path, name, answer.text)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"limit": 99999999999999999999}, "limit: "),
    ({"limit": 1.5}, "limit: input should be a valid integer"),
    ({"offset": 2**31}, "offset: input should be less than or equal to 2147483647."),
    ({"metadata": "x"}, "metadata: input should be a valid dictionary."),
    ({"metadata": ["x"]}, "metadata: input should be a valid dictionary."),
    ({"sort_order": "up"}, "sort_order: input should be 'asc' or 'desc'."),
    ({"select": "name"}, "select: input should be a valid list."),
    ({"name": 5}, "name: input should be a valid string."),
]


async def test_a_wrong_value_is_named(http: httpx.AsyncClient) -> None:
    for body, detail in WRONG:
        answer = await http.post("/assistants/search", json=body)
        assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (422, detail)


async def test_what_is_wrong_is_one_sentence(http: httpx.AsyncClient) -> None:
    for path, body, detail in (
        ("/runs/batch", [], "The request body: list should have at least 1 item after validation, not 0."),
        ("/runs/batch", {}, "The request body: input should be a valid list."),
        ("/threads", {"ttl": 0}, "ttl: must be a positive number of minutes, at most 5270400, or an object"),
    ):
        answer = await http.post(path, json=body)
        said = answer.json()["detail"]
        assert (answer.status_code, said[: len(detail)]) == (422, detail)
        assert said.endswith(".") and not said.endswith("..")
    index = {"namespace": ["a"], "key": "b", "value": {}, "index": True}
    said = (await http.put("/store/items", json=index)).json()["detail"]
    assert said.endswith("'messages[*].content'.")


async def test_odd_values_find_nothing(http: httpx.AsyncClient) -> None:
    searches: list[dict[str, Any]] = [
        {"metadata": {"a": 1e308}},
        {"metadata": {"a": 2**63}},
        {"metadata": {"'": "\\", '"': "%"}},
        {"metadata": {"a": {"b": [None, True, {}]}}},
        {"name": "%_\\'"},
        {"graph_id": "x" * 10_000},
    ]
    for search in searches:
        answer = await http.post("/assistants/search", json=search)
        assert (answer.status_code, answer.json()) == (200, []), search


async def test_a_body_is_json_whatever_it_is_called(http: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", ""):
        body = b'{"graph_id": "steps"}'
        answer = await http.post("/assistants/count", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()) == (200, 1), kind


# --- found by `test_any_request`


async def test_a_command_that_says_nothing_goes_on_where_the_thread_stands(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    paused = {"assistant_id": "steps", "input": {"log": []}, "interrupt_before": ["s5"]}
    assert len((await http.post(f"/threads/{thread}/runs/wait", json=paused)).json()["log"]) == 5
    going_on = {"assistant_id": "steps", "command": {}}
    assert len((await http.post(f"/threads/{thread}/runs/wait", json=going_on)).json()["log"]) == 10


@pytest.mark.parametrize("command", [{}, {"update": {}}, {"update": []}, {"goto": []}])
def test_a_command_says_nothing_in_several_ways(command: dict[str, Any]) -> None:
    assert source({"input": {"log": []}, "command": command}, begun=False) is None
