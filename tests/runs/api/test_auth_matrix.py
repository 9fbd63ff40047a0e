"""Every route × each kind of Auth file × bodies of each shape. The routes are those of the API's document."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runs.api.openapi.document import document
from runs.api.site import api
from runs.identity.auth_file.rules import rule_for
from tests.runs.api import auth_modes
from tests.runs.api.test_tenancy import PUBLIC
from tests.support.serving import served
from threads.db.database import threads

SHAPES = (b"", b"[]", b"[[]]", b"[{}]", b"null", b"0", b'""', b"{}", b'{"metadata": null}')
#: Routes of commands, each of which is authorised by itself.
COMMANDS = "/commands"


@pytest.fixture
async def http(transactional_db: None, run_settings: Any, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"graphs": {}, "auth": {"path": f"{auth_modes.__name__}:auth"}}))
    run_settings(DRAIN_SECONDS=1.0, LANGGRAPH_JSON=str(file))
    auth_modes.kind[0] = "permissive"
    async with served() as url, httpx.AsyncClient(base_url=url, timeout=20, verify=False) as client:
        yield client
    threads.close()


@pytest.fixture
async def ids(http: httpx.AsyncClient) -> dict[str, str]:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    run = (await http.post(f"/threads/{thread}/runs", json={"assistant_id": "steps"})).json()["run_id"]
    await http.get(f"/threads/{thread}/runs/{run}/join")
    assistant = (await http.post("/assistants", json={"graph_id": "steps"})).json()["assistant_id"]
    cron = {"assistant_id": "steps", "schedule": "0 0 1 1 *"}
    cron_id = (await http.post("/runs/crons", json=cron)).json()["cron_id"]
    return {"thread_id": thread, "run_id": run, "assistant_id": assistant, "cron_id": cron_id}


def routes() -> Iterator[tuple[str, str]]:
    for path, methods in document(api)["paths"].items():
        if path not in PUBLIC:
            for method in methods:
                yield method.upper(), path


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: ids.get(found[1], ids["thread_id"]), path)


async def answers(http: httpx.AsyncClient, ids: dict[str, str]) -> AsyncIterator[tuple[str, httpx.Response]]:
    for method, path in routes():
        for body in SHAPES:
            if path.endswith(COMMANDS):
                continue
            answer = await http.request(method, filled(path, ids), content=body)
            yield f"{method} {path} {body!r}: {answer.status_code} {answer.text[:200]}", answer


def is_reading(name: str) -> bool:
    method, path, *_ = name.split(" ")
    rule = rule_for(method, path.lstrip("/"))
    assert rule is not None, name
    return rule.action in auth_modes.READING


async def test_an_auth_file_that_refuses_is_asked_whatever_the_body_is(
    http: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    auth_modes.kind[0] = "refusing"
    async for name, answer in answers(http, ids):
        # A body that cannot be passed to a handler is refused earlier.
        assert answer.status_code in (403, 422), name
        if answer.status_code == 422:
            assert "must be" in answer.json()["detail"], name
    auth_modes.kind[0] = "permissive"
    for path in ("/threads/{thread_id}", "/threads/{thread_id}/runs/{run_id}", "/assistants/{assistant_id}"):
        assert (await http.get(filled(path, ids))).status_code == 200
    assert (await http.get(filled("/runs/crons/{cron_id}", ids))).status_code == 200


async def test_who_may_only_read_changes_nothing(http: httpx.AsyncClient, ids: dict[str, str]) -> None:
    auth_modes.kind[0] = "read-only"
    before = (await http.get(f"/threads/{ids['thread_id']}")).json()
    for method, path in routes():
        for body in SHAPES:
            name = f"{method} {path}"
            if path.endswith(COMMANDS) or is_reading(name):
                continue
            answer = await http.request(method, filled(path, ids), content=body)
            assert answer.status_code in (403, 422), (name, body, answer.text)
    assert (await http.get(f"/threads/{ids['thread_id']}")).json() == before


async def test_an_auth_file_that_fails_lets_nobody_in_and_says_nothing(
    http: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    auth_modes.kind[0] = "raising"
    async for name, answer in answers(http, ids):
        assert answer.status_code in (422, 500), name
        assert "secret-of-the-file" not in answer.text, name


async def test_what_a_filter_hides_cannot_be_deleted_with_any_body(
    http: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    auth_modes.kind[0] = "hiding"
    named = [(method, path) for method, path in routes() if "{" in path and method in ("DELETE", "PATCH")]
    assert named
    for method, path in named:
        for body in SHAPES:
            if "store" in path:
                continue
            answer = await http.request(method, filled(path, ids), content=body)
            # An empty change is refused before anything is looked up.
            assert answer.status_code in (400, 404, 422), (method, path, body, answer.text)
    auth_modes.kind[0] = "permissive"
    assert (await http.get(f"/threads/{ids['thread_id']}")).status_code == 200
