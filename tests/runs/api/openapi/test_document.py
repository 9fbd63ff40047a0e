"""The API's document, and its committed copy."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.urls import URLPattern

from runs.api.openapi.answers import ANSWERS, SCHEMAS
from runs.api.openapi.document import PUBLIC, document, key
from runs.api.routes.system import API_VERSION
from runs.api.site import api
from runs.version import VERSION

COPY = Path(__file__).parents[4] / "docs" / "openapi.json"


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document(api)["paths"].items()
        for method, operation in methods.items()
    ]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_committed_copy_is_the_document() -> None:
    written = StringIO()
    call_command("openapi", stdout=written)
    assert json.loads(written.getvalue()) == json.loads(COPY.read_text()), "Update it by: make openapi"


async def test_the_server_gives_the_same_document(http: httpx.AsyncClient) -> None:
    assert (await http.get("/openapi.json")).json() == json.loads(COPY.read_text())
    assert "/openapi.json" in (await http.get("/docs")).text


async def test_the_page_is_this_products(http: httpx.AsyncClient) -> None:
    page, made = (await http.get("/docs")).text, (await http.get("/openapi.json")).json()
    assert f"<title>Agents {VERSION}</title>" in page
    assert made["info"]["version"] == VERSION
    assert f"LangGraph Server {API_VERSION}" in made["info"]["description"]


async def test_who_has_the_document_is_told_that_it_is_the_same(http: httpx.AsyncClient) -> None:
    first = await http.get("/openapi.json")
    assert first.headers["Content-Type"] == "application/json"
    tag = first.headers["ETag"]
    again = await http.get("/openapi.json", headers={"If-None-Match": f'W/"x", {tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert (await http.get("/openapi.json", headers={"If-None-Match": '"another"'})).content == first.content
    assert (await http.post("/openapi.json")).status_code == 405


async def test_the_document_is_made_once(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await http.get("/openapi.json")
    monkeypatch.setattr(type(api), "get_openapi_schema", None)
    assert (await http.get("/openapi.json")).status_code == 200


def test_every_route_says_what_it_answers() -> None:
    assert [key(method, path) for method, path, _ in operations() if key(method, path) not in ANSWERS] == []


def test_every_path_of_the_api_is_described() -> None:
    described = {path.strip("/").replace("{", "<").replace("}", ">") for _, path, _ in operations()}
    served = {str(each.pattern) for each in api.urls[0] if isinstance(each, URLPattern)}
    assert served - described == set()


def test_generated_clients_get_a_name_for_every_route() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    assert {"create_thread", "create_run", "search_threads", "get_state"} <= set(names)


def test_what_changes_something_says_what_it_takes() -> None:
    without = {"copy", "cancel", "create_ticket"}
    assert not [
        (method, path)
        for method, path, operation in operations()
        if method in ("post", "put", "patch")
        and "requestBody" not in operation
        and operation["operationId"] not in without
    ]


def test_refusals_are_described_route_by_route() -> None:
    described = {key(method, path): set(operation["responses"]) for method, path, operation in operations()}
    assert described["GET /info"] == {"200"}
    assert described["GET /ok"] == {"200", "422", "503"}
    assert described["POST /threads/{}/runs"] == {
        "200",
        "400",
        "401",
        "403",
        "404",
        "409",
        "413",
        "422",
        "429",
        "503",
    }
    assert described["GET /threads/{}"] == {"200", "401", "403", "404", "422", "503"}


def test_every_reference_leads_somewhere() -> None:
    made = document(api)
    for reference in references(made):
        place: Any = made
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    assert SCHEMAS.keys() <= made["components"]["schemas"].keys()


def test_only_what_is_for_everybody_needs_no_credentials() -> None:
    made = document(api)
    assert {path for _, path, operation in operations() if operation.get("security") == []} == PUBLIC
    assert {name for each in made["security"] for name in each} == made["components"][
        "securitySchemes"
    ].keys()


async def test_what_is_for_everybody_is_answered_to_everybody_and_nothing_else_is(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(LOCAL_USER=False)
    for method, path, _ in operations():
        filled = re.sub(r"{\w+}", "33333333-3333-4333-8333-333333333333", path)
        code = (await http.request(method, filled, json={})).status_code
        assert code == (200 if path in PUBLIC else 401), (method, path)
