"""The server's own endpoints, and what is the same for all."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.db import InternalError, OperationalError, ProgrammingError
from django.test import AsyncClient, RequestFactory
from pytest_django import Settings

from deerflow_site.handler import LeanHandler
from runs import runtime
from runs.api import errors
from runs.api.site import api

PUBLIC = ["/ok", "/", "/ok?check_db=1", "/info", "/docs", "/openapi.json"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_some_paths_are_for_everybody(http: httpx.AsyncClient, run_settings: Any, path: str) -> None:
    run_settings(LOCAL_USER=False)
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/ok", "/", "/ok?check_db=1"])
async def test_a_server_that_takes_requests_is_ok_until_it_shuts_down(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "services": {}})
    runtime.current().draining = True
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (503, {"detail": "The server is shutting down."})


async def test_before_its_start_a_server_is_not_ok() -> None:
    lean: Any = LeanHandler()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(lean), base_url="http://testserver") as http:
        answer = await http.get("/ok")
    assert (answer.status_code, answer.json()) == (503, {"detail": "The server is not ready."})


async def test_the_server_tells_what_it_is(http: httpx.AsyncClient) -> None:
    info = (await http.get("/info")).json()
    assert info["langgraph_py_version"] == version("langgraph")
    assert info["flags"]["assistants"] is True
    assert info["host"]["kind"] == "self-hosted"


async def test_the_schema_names_every_path_once(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()
    assert {"/threads", "/threads/{thread_id}/runs/stream", "/runs/wait", "/assistants/search"} <= set(
        schema["paths"]
    )
    operations = [each["operationId"] for path in schema["paths"].values() for each in path.values()]
    assert len(operations) == len(set(operations))
    body = schema["paths"]["/threads/{thread_id}/runs"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/RunCreate"}


@pytest.mark.parametrize("path", ["/nope", "/threads/", "/threads/a/b/c/d", "/runs/x/y/z"])
async def test_a_path_that_does_not_exist_is_not_found_in_json(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_the_admin_is_beside_the_api(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    client = AsyncClient()
    assert (await client.get("/admin/")).headers["location"] == "/admin/login/?next=/admin/"
    assert (await client.get("/admin")).headers["location"] == "/admin/"


async def test_a_foreign_host_name_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/threads", json={}, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "ALLOWED_HOSTS" in answer.json()["detail"]


async def test_a_body_above_the_limit_is_refused(http: httpx.AsyncClient, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = await http.post("/threads", json={"metadata": {"x": "y" * 200}})
    assert answer.status_code == 413
    assert answer.json()["detail"].startswith("Request body is larger than")


async def test_a_body_that_is_nested_too_deeply_is_refused(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(JSON_DEPTH=4)
    assert (await http.post("/threads", json={"metadata": {"a": {"b": {}}}})).status_code == 200
    answer = await http.post("/threads", json={"metadata": {"a": {"b": {"c": {}}}}})
    assert answer.status_code == 422
    assert "4 levels" in answer.json()["detail"]


def test_a_database_that_does_not_answer_is_worth_another_try() -> None:
    ended = InternalError("gone")
    ended.__cause__ = psycopg.errors.IdleInTransactionSessionTimeout()
    for error in (OperationalError("gone"), ended):
        answer = api.on_exception(RequestFactory().get("/threads"), error)
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")


def test_a_statement_that_is_wrong_is_a_mistake_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    answer = api.on_exception(RequestFactory().get("/threads"), ProgrammingError("no such column"))
    assert answer.status_code == 500
    assert "no such column" in caplog.text


def test_a_mistake_of_the_server_says_nothing_about_itself(caplog: pytest.LogCaptureFixture) -> None:
    answer = api.on_exception(RequestFactory().get("/threads"), KeyError("secret"))
    assert (answer.status_code, answer.content) == (500, b'{"detail":"Internal Server Error"}')
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"loc": ("path", "run_id"), "type": "uuid_parsing", "msg": "x"}, "Invalid run ID: must be a UUID"),
        (
            {"loc": ("body", "body", "a", "literal['x']", 0), "type": "t", "msg": "Input is bad"},
            "a.0: input is bad.",
        ),
        ({"loc": ("query", "limit"), "type": "t", "msg": "Value error, must be 1"}, "limit: must be 1."),
        ({"loc": ("body", "body", "a"), "type": "missing", "msg": "x"}, "a is required."),
    ],
)
def test_an_error_is_one_sentence(error: dict[str, object], text: str) -> None:
    assert errors.sentence([error]) == text
