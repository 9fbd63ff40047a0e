"""Who may do what on every route that the site has: one line for each, and a route without one fails here.

The answers are for somebody else's objects: what is not the caller's does not exist. Columns, from left to right, are what
those get who may not: `read` and `write` say which scope the route needs, and `gone` is the answer for what is not the
caller's: mostly 404; `[]` for a list in which it is not; `error` for streams whose 200 clients do not ask again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.urls import get_resolver

from runs.api.site import api
from runs.identity import keys
from runs.identity.principals import READ, SCOPES
from runs.identity.rules import RULES, rule_for
from runs.models import Run
from tests.rows import make_assistant, make_run, make_thread
from tests.runs.api.fixtures import http, logged_in, url
from threads import clock
from threads.database import in_database
from threads.models import Thread

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

RUN = {"assistant_id": "steps", "input": {"log": []}}
#: Of a route, what its owner sends; `{}` if it needs no body.
BODIES: dict[str, Any] = {
    "POST /runs": RUN,
    "POST /runs/stream": RUN,
    "POST /runs/wait": RUN,
    "POST /threads/{}/runs": RUN,
    "POST /threads/{}/runs/stream": RUN,
    "POST /threads/{}/runs/wait": RUN,
}
#: Route, needed scope, and what somebody else gets for the owner's object; `-` where there is no object.
MATRIX = """
    POST   /assistants/search                   read   []
    GET    /assistants/{a}                      read   404
    POST   /threads                             write  -
    GET    /threads/{t}                         read   404
    GET    /threads/{t}/state                   read   404
    POST   /threads/{t}/runs                    write  404
    POST   /threads/{t}/runs/stream             write  404
    POST   /threads/{t}/runs/wait               write  404
    GET    /threads/{t}/runs                    read   404
    GET    /threads/{t}/runs/{r}                read   404
    DELETE /threads/{t}/runs/{r}                write  404
    POST   /threads/{t}/runs/{r}/cancel         write  404
    GET    /threads/{t}/runs/{r}/join           read   error
    GET    /threads/{t}/runs/{r}/stream         read   error
    POST   /runs                                write  -
    POST   /runs/stream                         write  -
    POST   /runs/wait                           write  -
    GET    /runs/{r}/join                       read   error
    GET    /runs/{r}/stream                     read   error
"""
#: For everybody, whoever asks.
PUBLIC = {"/", "/ok", "/info", "/metrics", "/docs", "/openapi.json"}


@dataclass(frozen=True)
class Line:
    method: str
    path: str
    scope: str
    gone: str

    @property
    def route(self) -> str:
        return f"{self.method} {re.sub(r'{[^}]*}', '{}', self.path)}"

    def __str__(self) -> str:
        return self.route


LINES = [Line(*line.split()) for line in MATRIX.split("\n") if line.strip()]


@dataclass
class World:
    """The owner's objects, and how everybody asks."""

    http: httpx.AsyncClient
    ids: dict[str, str]
    callers: dict[str, dict[str, str]]

    async def ask(self, line: Line, caller: str, **changes: str) -> httpx.Response:
        path = line.path.format_map({**self.ids, **changes})
        sent = {} if line.method in ("GET", "DELETE") else {"json": BODIES.get(line.route, {})}
        return await self.http.request(line.method, path, headers=self.callers[caller], **sent)


def build() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    users = get_user_model().objects
    owner = users.create_user("owner")
    for name in ("other", "staff"):
        users.create_user(name, is_staff=name == "staff", is_superuser=name == "staff")
    thread = make_thread(user=owner, metadata={"graph_id": "steps"})
    assistant = make_assistant("steps", user=owner)
    run = make_run("success", thread=thread, user=owner, assistant=assistant)
    other = make_thread(user=users.get(username="other"))
    ids = {"t": str(thread.id), "r": str(run.id), "a": str(assistant.id), "others_thread": str(other.id)}

    def key(user: str, scopes: frozenset[str] = SCOPES, **fields: Any) -> dict[str, str]:
        row, text = keys.create(users.get(username=user).pk, scopes=scopes, **fields)
        if fields.get("name") == "revoked":
            keys.revoke(row.pk)
        return {"X-Api-Key": text}

    cookies = logged_in("browser")
    return ids, {
        "owner": key("owner"),
        "reader": key("owner", frozenset({READ})),
        "other": key("other"),
        "staff": key("staff"),
        "session": {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
        "anonymous": {},
        "revoked": key("owner", name="revoked"),
        "expired": key("owner", expires_at=clock.now() - timedelta(seconds=1)),
    }


@pytest.fixture
async def world(http: httpx.AsyncClient, run_settings: Any) -> World:
    run_settings(LOCAL_USER=False)
    ids, callers = await in_database(build)
    return World(http, ids, callers)


def routes() -> set[str]:
    """Every route of the API that asks who it is, as the site's URLs have it."""
    found = set()
    for pattern in api.urls[0]:
        path = "/" + re.sub(r"<[^>]*>", "{}", str(pattern.pattern))
        operations = getattr(pattern.callback, "__self__", None) or path_view(pattern)
        if path not in PUBLIC and operations is not None:
            found |= {f"{method} {path}" for each in operations.operations for method in each.methods}
    return found


def path_view(pattern: Any) -> Any:
    """Ninja's view of a path, which has its methods; its function keeps it in a closure."""
    cells = getattr(pattern.callback, "__closure__", None) or ()
    views = [cell.cell_contents for cell in cells if hasattr(cell.cell_contents, "operations")]
    return views[0] if views else None


def test_each_route_has_a_line_and_a_rule() -> None:
    known = {line.route for line in LINES}
    assert len(known) == len(LINES)
    assert routes() == known, "Every route needs a line in MATRIX, and every line a route."
    assert not [line.route for line in LINES if rule_for(line.method, line.path) is None]
    assert {line.route: line.scope for line in LINES} == {
        line.route: RULES[line.method, line.route.partition(" ")[2]].scope for line in LINES
    }


def test_all_that_needs_nobody_is_public() -> None:
    """Everything else at the root of the site is the admin's, which has a login of its own, or a 404."""
    patterns = [str(pattern.pattern) for pattern in get_resolver().url_patterns]
    assert patterns[0] == "admin/"
    open_to_all = {
        "/" + str(pattern.pattern)
        for pattern in api.urls[0]
        if (view := path_view(pattern)) is None or not any(each.auth_callbacks for each in view.operations)
    }
    assert open_to_all <= PUBLIC


def counts() -> tuple[int, int, list[Any]]:
    return (
        Run.objects.count(),
        Thread.objects.count(),
        list(Run.objects.values_list("id", "status").order_by("id")),
    )


async def test_what_is_not_the_callers_does_not_exist(world: World) -> None:
    """For another user, and for a member of staff, who sees all in the admin and no more than others here."""
    before = await in_database(counts)
    for line in LINES:
        if line.gone == "-":
            continue
        for caller in ("other", "staff"):
            answer = await world.ask(line, caller)
            label = f"{line} as {caller}: {answer.status_code} {answer.text[:200]}"
            missing = await world.ask(line, caller, **dict.fromkeys("tra", str(uuid4())))
            assert answer.status_code == missing.status_code, label
            if line.gone == "404":
                assert answer.status_code == 404, label
            elif line.gone == "[]":
                assert answer.status_code == 200, label
                assert not any(each in answer.text for each in world.ids.values()), label
            else:
                assert "Run not found" in answer.text, label
            assert scrubbed(answer.text, world) == scrubbed(missing.text, world), label
    assert await in_database(counts) == before


def scrubbed(text: str, world: World) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)


@pytest.mark.parametrize("caller", ["anonymous", "revoked", "expired"])
async def test_nobody_may_nothing(world: World, caller: str) -> None:
    before = await in_database(counts)
    for line in LINES:
        answer = await world.ask(line, caller)
        assert answer.status_code == 401, line
        assert set(answer.json()) == {"detail"}, line
    assert await in_database(counts) == before


async def test_a_key_may_what_its_scopes_say(world: World) -> None:
    before = await in_database(counts)
    for line in LINES:
        answer = await world.ask(line, "reader")
        assert answer.status_code == (200 if line.scope == READ else 403), f"{line}: {answer.text[:200]}"
    assert await in_database(counts) == before


async def test_a_session_without_a_csrf_token_changes_nothing(world: World) -> None:
    before = await in_database(counts)
    for line in LINES:
        answer = await world.ask(line, "session")
        assert (answer.status_code == 403) is (line.method != "GET"), line
    assert await in_database(counts) == before


async def test_the_owner_may_everything(world: World) -> None:
    # What ends the run comes last.
    for line in sorted(LINES, key=lambda line: (line.path.endswith("cancel"), line.method == "DELETE")):
        answer = await world.ask(line, "owner")
        expected = (404,) if line.path.endswith("cancel") else (200, 202, 204)
        assert answer.status_code in expected, f"{line}: {answer.text[:200]}"


@pytest.mark.parametrize("path", [
    "/threads/{others_thread}/runs/{r}", "/threads/{others_thread}/runs/{r}/cancel", "/threads/{others_thread}/runs/{r}/join",
])  # fmt: skip
async def test_a_run_belongs_to_its_own_thread_alone(world: World, path: str) -> None:
    """Another user reaches no run through a thread of their own."""
    method = "POST" if path.endswith("cancel") else "GET"
    answer = await world.ask(Line(method, path, "", ""), "other")
    assert answer.status_code == 404 or "Run not found" in answer.text


#: Places in a body that name somebody else's object.
FOREIGN_BODIES = [
    {"assistant_id": "{a}"},
    {"thread_id": "{t}", "checkpoint": {"thread_id": "{t}", "checkpoint_id": "{t}"}},
    {"checkpoint_id": "{t}"},
    {"config": {"configurable": {"thread_id": "{t}", "checkpoint_id": "{t}", "user_id": "1"}}},
]


@pytest.mark.parametrize("body", FOREIGN_BODIES, ids=str)
async def test_a_body_reaches_nothing_of_others(world: World, body: dict[str, Any]) -> None:
    filled = json.loads(re.sub(r"\{(\w)\}", lambda found: world.ids[found[1]], json.dumps(body)))
    thread = await in_database(Thread.objects.get, id=world.ids["t"])
    path = f"/threads/{world.ids['others_thread']}/runs/wait"
    answer = await world.http.post(path, json={**RUN, **filled}, headers=world.callers["other"])
    if "assistant_id" in body:
        assert answer.status_code == 404
    else:
        assert answer.status_code == 200
        assert world.ids["t"] not in answer.text
    after = await in_database(Thread.objects.get, id=world.ids["t"])
    assert (after.epoch, after.updated_at, after.values) == (thread.epoch, thread.updated_at, thread.values)


async def test_an_event_id_is_no_key_to_a_stream(world: World) -> None:
    for position in ("-1", "1-1", "0"):
        headers = {**world.callers["other"], "Last-Event-ID": position}
        answer = await world.http.get(f"/runs/{world.ids['r']}/stream", headers=headers)
        assert "Run not found" in answer.text
