"""Every list needs as many statements for ten objects as for one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db.backends.utils import CursorWrapper

from runs.api.openapi.document import document
from runs.api.site import api

COUNT = 10
Known = dict[str, str]


class Statements:
    """Counts the statements that this process has sent to the database, on any thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent = 0
        execute = CursorWrapper.execute

        def counted(cursor: Any, *arguments: Any, **named: Any) -> Any:
            self.sent += 1
            return execute(cursor, *arguments, **named)

        monkeypatch.setattr(CursorWrapper, "execute", counted)


def lists() -> Iterator[tuple[str, str, bool]]:
    """The routes that take a limit: method, path, and whether it is in the body."""
    made = document(api)
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            if any(each["name"] == "limit" for each in operation["parameters"]):
                yield method.upper(), path, False
            elif '"limit"' in json.dumps(body_of(operation, made)):
                yield method.upper(), path, True


def body_of(operation: dict[str, Any], made: dict[str, Any]) -> Any:
    """The properties of the request's body."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return made["components"]["schemas"].get(name, schema).get("properties", {})


@pytest.fixture
async def known(http: httpx.AsyncClient) -> Known:
    """Ten objects of each kind, and the ids for the paths."""

    async def post(path: str, body: Any) -> Any:
        answer = await http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    thread = (await post("/threads", {}))["thread_id"]
    assistant = (await post("/assistants", {"graph_id": "steps"}))["assistant_id"]
    for number in range(COUNT):
        await post("/threads", {"metadata": {"n": number}})
        await post("/assistants", {"graph_id": "steps", "metadata": {"n": number}})
        await http.patch(f"/assistants/{assistant}", json={"name": str(number)})
        await post("/runs/crons", {"assistant_id": assistant, "schedule": "0 0 1 1 *"})
        await post(f"/threads/{thread}/runs/wait", {"assistant_id": assistant, "input": {"log": []}})
        item = {"namespace": ["n", str(number)], "key": "k", "value": {"n": number}}
        assert (await http.put("/store/items", json=item)).status_code == 204
    return {"thread_id": thread, "assistant_id": assistant}


def shown(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return len(found if isinstance(found, list) else next(iter(found.values())))


async def test_ten_cost_no_more_statements_than_one(
    http: httpx.AsyncClient, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(monkeypatch)

    async def cost(method: str, path: str, limit: int, *, in_body: bool, enough: int = 0) -> int:
        """The minimum of tries until one is small enough, because other tasks use the database too."""
        costs = [sys.maxsize]
        while min(costs) > enough and len(costs) <= (20 if enough else 4):
            before = statements.sent
            where: dict[str, Any] = {"json": {"limit": limit}} if in_body else {"params": {"limit": limit}}
            assert shown(await http.request(method, path.format(**known), **where)) == limit, path
            costs.append(statements.sent - before)
        return min(costs)

    routes = list(lists())
    assert {path for _, path, _ in routes} >= {
        "/threads/search",
        "/threads/{thread_id}/runs",
        "/runs/crons/search",
    }
    for method, path, in_body in routes:
        one = await cost(method, path, 1, in_body=in_body)
        ten = await cost(method, path, COUNT, in_body=in_body, enough=one)
        assert 1 <= ten <= one, f"{method} {path}: {one} statements for one, {ten} for ten"
