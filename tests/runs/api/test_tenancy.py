"""Permissions on every route of the site: one line for each; a route without a line fails here.

The answers are for another user's objects, which must appear not to exist. `read` and `write` are
the scope that the route needs. `gone` is the answer for another user's object: mostly 404, or the
literal answer; `listed` for a list without it; `error` for streams with status 200, which clients
do not retry; `quiet` for a stream without events; `told` for commands, which report errors with
status 200; `ticket` for a ticket whose socket shows the thread no more than it would otherwise.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import get_resolver

from runs.api.site import api
from runs.identity import keys
from runs.identity.auth_file import configured
from runs.identity.auth_file.rules import RULES, rule_for
from runs.identity.principals import READ, SCOPES, WRITE
from runs.models import Run
from runs.pages import urls as pages
from runs.protocols.sse import HEARTBEAT
from runs.server.paths import SOCKET
from tests.runs.api import auth_everything, auth_teams
from tests.support.api import http, logged_in, url
from tests.support.rows import make_assistant, make_run, make_thread
from tests.support.sockets import socket
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

RUN = {"assistant_id": "steps", "input": {"log": []}}
OWNED = auth_everything.MARK
ITEM = {"namespace": ["notes"], "key": "k"}
CRON = {"assistant_id": "steps", "schedule": "0 0 1 1 *", "input": {"log": []}, "metadata": OWNED}
#: The owner's body for a route; `{}` if it needs none. Ids of the owner's objects are written as in a path.
BODIES: dict[str, Any] = {
    "POST /assistants": {"graph_id": "steps"},
    "POST /assistants/count": {"metadata": OWNED},
    "PATCH /assistants/{}": {"name": "renamed"},
    "POST /assistants/{}/latest": {"version": 2},
    "POST /threads/count": {"metadata": OWNED},
    "POST /threads/prune": {"thread_ids": ["{t}"], "strategy": "keep_latest"},
    "PATCH /threads/{}": {"metadata": {"x": 1}},
    "POST /threads/{}/state": {"values": {"log": ["x"]}, "as_node": "s0"},
    "PATCH /threads/{}/state": {"metadata": {"x": 1}},
    "POST /threads/{}/state/checkpoint": {"checkpoint": {"checkpoint_id": "{k}", "checkpoint_ns": ""}},
    "POST /threads/{}/commands": {"id": 1, "method": "state.get", "params": {}},
    "POST /threads/{}/stream/events": {"channels": ["lifecycle"]},
    "POST /runs": RUN,
    "POST /runs/stream": RUN,
    "POST /runs/wait": RUN,
    "POST /runs/batch": [RUN, RUN],
    "POST /runs/cancel": {"thread_id": "{q}", "run_ids": ["{o}"]},
    "POST /threads/{}/runs": RUN,
    "POST /threads/{}/runs/stream": RUN,
    "POST /threads/{}/runs/wait": RUN,
    "POST /runs/crons": CRON,
    "POST /threads/{}/runs/crons": CRON,
    "POST /runs/crons/count": {"metadata": OWNED},
    "PATCH /runs/crons/{}": {"schedule": "0 0 2 1 *"},
    "PUT /store/items": {**ITEM, "value": {"text": "another"}},
    "DELETE /store/items": ITEM,
}
#: Route, needed scope, and another user's answer for the owner's object; `-` if there is no object.
MATRIX = """
    POST   /assistants                          write  -
    POST   /assistants/search                   read   listed
    POST   /assistants/count                    read   0
    GET    /assistants/{a}                      read   404
    PATCH  /assistants/{a}                      write  404
    DELETE /assistants/{a}                      write  404
    GET    /assistants/{a}/graph                read   404
    GET    /assistants/{a}/schemas              read   404
    GET    /assistants/{a}/subgraphs            read   404
    GET    /assistants/{a}/subgraphs/child      read   404
    POST   /assistants/{a}/versions             read   404
    POST   /assistants/{a}/latest               write  404
    POST   /threads                             write  -
    POST   /threads/search                      read   listed
    POST   /threads/count                       read   0
    POST   /threads/prune                       write  {"pruned_count":0}
    GET    /threads/{t}                         read   404
    PATCH  /threads/{t}                         write  404
    DELETE /threads/{t}                         write  404
    GET    /threads/{t}/state                   read   404
    POST   /threads/{t}/state                   write  404
    PATCH  /threads/{t}/state                   write  404
    GET    /threads/{t}/state/{k}               read   404
    POST   /threads/{t}/state/checkpoint        read   404
    GET    /threads/{t}/history                 read   404
    POST   /threads/{t}/history                 read   404
    POST   /threads/{t}/copy                    write  404
    GET    /threads/{t}/storage                 read   404
    GET    /threads/{t}/stream                  read   404
    POST   /threads/{t}/stream/events           read   quiet
    POST   /threads/{t}/commands                read   told
    POST   /threads/{t}/ticket                  read   ticket
    POST   /threads/{t}/runs                    write  404
    POST   /threads/{t}/runs/stream             write  404
    POST   /threads/{t}/runs/wait               write  404
    GET    /threads/{t}/runs                    read   404
    GET    /threads/{t}/runs/{r}                read   404
    DELETE /threads/{t}/runs/{r}                write  404
    POST   /threads/{q}/runs/{p}/cancel         write  404
    GET    /threads/{t}/runs/{r}/join           read   error
    GET    /threads/{t}/runs/{r}/stream         read   error
    POST   /runs                                write  -
    POST   /runs/stream                         write  -
    POST   /runs/wait                           write  -
    POST   /runs/batch                          write  -
    POST   /runs/cancel                         write  404
    GET    /runs/{r}/join                       read   error
    GET    /runs/{r}/stream                     read   error
    POST   /runs/crons                          write  -
    POST   /threads/{t}/runs/crons              write  404
    POST   /runs/crons/search                   read   listed
    POST   /runs/crons/count                    read   0
    GET    /runs/crons/{c}                      read   404
    PATCH  /runs/crons/{c}                      write  404
    DELETE /runs/crons/{c}                      write  404
    PUT    /store/items                         write  -
    GET    /store/items?namespace=notes&key=k   read   null
    DELETE /store/items                         write  204
    POST   /store/items/search                  read   {"items":[]}
    POST   /store/namespaces                    read   {"namespaces":[]}
"""
#: Endless streams for permitted readers.
ENDLESS = ("/stream/events", "{t}/stream")
#: Public for every caller.
PUBLIC = {"/", "/ok", "/info", "/metrics", "/docs", "/openapi.json"}


@dataclass(frozen=True)
class Line:
    method: str
    path: str
    scope: str
    gone: str

    @property
    def route(self) -> str:
        path = self.path.partition("?")[0].replace("/child", "/{}")
        return f"{self.method} {re.sub(r'{[^}]*}', '{}', path)}"

    @property
    def endless(self) -> bool:
        return self.path.endswith(ENDLESS)

    def __str__(self) -> str:
        return self.route


LINES = [Line(*line.split()) for line in MATRIX.split("\n") if line.strip()]


@dataclass
class World:
    """The owner's objects, and the clients of all callers."""

    http: httpx.AsyncClient
    ids: dict[str, str]
    callers: dict[str, dict[str, str]]

    async def ask(self, line: Line, caller: str, **changes: str) -> httpx.Response:
        ids = {**self.ids, **changes}
        sent: dict[str, Any] = {"headers": self.callers[caller]}
        if line.method != "GET" and (line.method != "DELETE" or line.route in BODIES):
            sent["json"] = filled(BODIES.get(line.route, {}), ids)
        if line.endless:
            return await self._watch(line.method, line.path.format_map(ids), sent)
        return await self.http.request(line.method, line.path.format_map(ids), **sent)

    async def at_rest(self) -> None:
        """Wait until nothing runs on the owner's thread."""
        async with asyncio.timeout(20):
            while await in_database(Run.objects.in_flight().filter(thread=self.ids["t"]).exists):
                await asyncio.sleep(0.02)

    async def _watch(self, method: str, path: str, sent: dict[str, Any]) -> httpx.Response:
        """The answer up to its second heartbeat; all existing content is sent before that."""
        text = b""
        async with self.http.stream(method, path, **sent) as answer:
            async for chunk in answer.aiter_raw():
                text += chunk
                if text.count(HEARTBEAT) > 1:
                    break
        return httpx.Response(answer.status_code, content=text)


def filled(body: Any, ids: dict[str, str]) -> Any:
    """A body with the objects' ids filled in."""
    return json.loads(re.sub(r"\{(\w)\}", lambda found: ids[found[1]], json.dumps(body)))


def build() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    users = get_user_model().objects
    owner = users.create_user("owner")
    for name in ("other", "staff", "mate"):
        users.create_user(name, is_staff=name == "staff", is_superuser=name == "staff")
    assistant = make_assistant("nested", user=owner, metadata=OWNED)
    names = {"graph_id": "steps", "assistant_id": str(make_assistant("steps").id)}
    thread = make_thread(user=owner, metadata={**OWNED, **names})
    run = make_run("success", thread=thread, user=owner, assistant=assistant)
    other = make_thread(user=users.get(username="other"))
    # A finished run cannot be cancelled at all, so here are two pending ones.
    queue, later = make_thread(user=owner, metadata={**OWNED, **names}), clock.now() + timedelta(days=1)
    waiting = [
        make_run("pending", thread=queue, user=owner, assistant=assistant, due_at=later) for _ in range(2)
    ]
    ids = {"t": str(thread.id), "r": str(run.id), "a": str(assistant.id), "others_thread": str(other.id)}
    ids |= {"q": str(queue.id), "p": str(waiting[0].id), "o": str(waiting[1].id)}

    def key(user: str, scopes: frozenset[str] = SCOPES, **fields: Any) -> dict[str, str]:
        row, text = keys.create(users.get(username=user).pk, scopes=scopes, **fields)
        if fields.get("name") == "revoked":
            keys.revoke(row.pk)
        return {"X-Api-Key": text}

    cookies = logged_in("browser")
    return ids, {
        "owner": key("owner"),
        "reader": key("owner", frozenset({READ})),
        "writer": key("owner", frozenset({WRITE})),
        "other": key("other"),
        "staff": key("staff"),
        "mate": key("mate"),
        "session": {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
        "anonymous": {},
        "revoked": key("owner", name="revoked"),
        "expired": key("owner", expires_at=clock.now() - timedelta(seconds=1)),
    }


@pytest.fixture
async def world(http: httpx.AsyncClient, run_settings: Any) -> World:
    return await built(http, run_settings)


@pytest.fixture
async def shared_world(http: httpx.AsyncClient, run_settings: Any, tmp_path: Path) -> AsyncIterator[World]:
    """The same in a site where an Auth file shares everything within a team: the owner's is `owner` and `mate`."""
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"graphs": {}, "auth": {"path": f"{auth_teams.__name__}:auth"}}))
    auth_teams.teams.clear()
    yield await built(http, run_settings, LANGGRAPH_JSON=str(file), OWNERSHIP="auth")
    configured._load.cache_clear()


async def built(http: httpx.AsyncClient, run_settings: Any, **settings: Any) -> World:
    run_settings(LOCAL_USER=False, STREAM_HEARTBEAT=0.3, **settings)
    ids, callers = await in_database(build)
    found = World(http, ids, callers)
    for user in await in_database(lambda: list(get_user_model().objects.all())):
        name = user.get_username()
        auth_teams.teams[str(user.pk)] = "owner" if name == "mate" else name

    async def made(route: str) -> Any:
        [line] = [line for line in LINES if line.route == route]
        answer = await found.ask(line, "owner")
        assert answer.status_code in (200, 204), f"{line}: {answer.text}"
        return answer.json() if answer.content else None

    await made("PATCH /assistants/{}")
    await made("PUT /store/items")
    ids["k"] = (await made("POST /threads/{}/state"))["checkpoint_id"]
    ids["c"] = (await made("POST /runs/crons"))["cron_id"]
    return found


def routes() -> set[str]:
    """Every authenticated route of the API, from the site's URLs."""
    found = set()
    for pattern in api.urls[0]:
        path = "/" + re.sub(r"<[^>]*>", "{}", str(pattern.pattern))
        operations = getattr(pattern.callback, "__self__", None) or path_view(pattern)
        if path not in PUBLIC and operations is not None:
            found |= {f"{method} {path}" for each in operations.operations for method in each.methods}
    return found


def path_view(pattern: Any) -> Any:
    """Ninja's view of a path, which has its methods; the view function holds it in a closure."""
    cells = getattr(pattern.callback, "__closure__", None) or ()
    views = [cell.cell_contents for cell in cells if hasattr(cell.cell_contents, "operations")]
    return views[0] if views else None


def test_each_route_has_a_line_and_a_rule() -> None:
    known = {line.route for line in LINES}
    assert len(known) == len(LINES)
    assert routes() == known, "Every route needs a line in MATRIX, and every line a route."
    assert not [line.route for line in LINES if rule_for(line.method, line.route.partition(" ")[2]) is None]
    assert set(BODIES) <= known
    assert {line.route: line.scope for line in LINES} == {
        line.route: RULES[line.method, line.route.partition(" ")[2]].scope for line in LINES
    }


def test_all_that_needs_nobody_is_public() -> None:
    """Everything else at the root of the site is the admin, with its own login, or a 404."""
    patterns = [str(pattern.pattern) for pattern in get_resolver().url_patterns]
    assert [pattern for pattern in patterns if pattern.startswith("admin/")] == patterns[:2]
    assert patterns[1] == "admin/"
    open_to_all = {
        "/" + str(pattern.pattern)
        for pattern in api.urls[0]
        if (view := path_view(pattern)) is None or not any(each.auth_callbacks for each in view.operations)
    }
    assert open_to_all <= PUBLIC


#: Tables and columns that change without a route's doing, or by each use of a key or a ticket.
CHANGING = {
    "runs.SocketTicket",
    "runs.Worker.heartbeat_at",
    "runs.Worker.lease_expires_at",
    "runs.ApiKey.last_used_at",
}


def everything() -> dict[str, list[str]]:
    """Everything that a route may change: all columns of all tables of the two apps."""
    found = {}
    for app in ("runs", "threads"):
        for model in apps.get_app_config(app).get_models():
            label = model._meta.label
            if model._meta.proxy or label in CHANGING:
                continue
            columns = [field.attname for field in model._meta.concrete_fields]
            kept = [name for name in columns if f"{label}.{name}" not in CHANGING]
            found[label] = sorted(map(repr, model._base_manager.values_list(*kept)))
    return found


PAGES = ("/chat/{t}/plain/", "/chat/{t}/position/", "/chat/{t}/runs/", "/chat/{t}/")


def test_each_page_of_a_thread_is_tested() -> None:
    named = {"/" + str(pattern.pattern).replace("<uuid:thread_id>", "{t}") for pattern in pages.urlpatterns}
    assert {path for path in named if "{" in path} == set(PAGES)


@pytest.mark.parametrize("caller", ["other", "staff", "anonymous", "revoked"])
async def test_a_page_of_anothers_thread_is_that_of_a_missing_one(world: World, caller: str) -> None:
    before = await in_database(everything)
    for path in PAGES:
        line = Line("GET", path, "", "")
        answer = await world.ask(line, caller)
        missing = str(uuid4())
        expected = await world.ask(line, caller, t=missing)
        assert answer.status_code == expected.status_code, path
        assert scrubbed_page(answer.text) == scrubbed_page(expected.text), path
        if caller in ("anonymous", "revoked"):
            assert answer.status_code in (302, 401), path
    assert await in_database(everything) == before


def scrubbed_page(text: str) -> str:
    return re.sub(r'nonce-?[=:]?"?[\w+/=-]+|csrf\w*"[^>]*|"now": \d+', "", scrubbed(text))


async def test_the_owner_sees_more_on_each_page_that_has_content(world: World) -> None:
    for path in ("/chat/{t}/plain/", "/chat/{t}/runs/"):
        line = Line("GET", path, "", "")
        own, others = await world.ask(line, "owner"), await world.ask(line, "other")
        assert own.status_code == 200, own.text
        assert own.text != others.text, path


async def test_a_socket_opened_by_ticket_shows_nothing_of_anothers_thread(world: World) -> None:
    """Its holder gets what the thread of nobody would give."""

    async def told(caller: str, thread: str) -> str:
        line = Line("POST", "/threads/{t}/ticket", "", "")
        ticket = (await world.ask(line, caller, t=thread)).json()["ticket"]
        async with socket(thread, query=f"ticket={ticket}") as opened:
            names = ("state.get", "state.listCheckpoints", "agent.getTree")
            return scrubbed(json.dumps([await opened.command(name) for name in names]))

    missing = await told("other", str(uuid4()))
    assert await told("other", world.ids["t"]) == missing
    assert await told("owner", world.ids["t"]) != missing


@pytest.mark.parametrize("caller", ["other", "staff"])
async def test_what_is_not_the_callers_does_not_exist(world: World, caller: str) -> None:
    """For another user, and for a member of staff, who has no more rights here."""
    await finds_nothing(world, caller)


@pytest.mark.parametrize("caller", ["other", "staff"])
async def test_what_is_another_teams_does_not_exist(shared_world: World, caller: str) -> None:
    await finds_nothing(shared_world, caller)


async def finds_nothing(world: World, caller: str) -> None:
    before = await in_database(everything)
    for line in LINES:
        if line.gone == "-":
            continue
        answer = await world.ask(line, caller)
        label = f"{line} as {caller}: {answer.status_code} {answer.text[:200]}"
        missing = await world.ask(line, caller, **dict.fromkeys("trakcqpo", str(uuid4())))
        assert answer.status_code == missing.status_code, label
        assert scrubbed(answer.text) == scrubbed(missing.text), label
        if line.gone.isdigit() and len(line.gone) == 3:
            assert answer.status_code == int(line.gone), label
            continue
        if line.path.endswith("/join") and configured.current() is not None:
            # As the reference server answers with an Auth file.
            assert answer.status_code == 404, label
            continue
        assert answer.status_code == 200, label
        if line.gone == "listed":
            assert not any(world.ids[name] in answer.text for name in "tac"), label
        elif line.gone == "quiet":
            assert "event:" not in answer.text, label
        elif line.gone == "ticket":
            assert set(answer.json()) == {"ticket", "expires_in"}, label
        elif line.gone in ("error", "told"):
            assert ("Run not found" if line.gone == "error" else "404: Thread") in answer.text, label
        else:
            assert answer.text == line.gone, label
    assert await in_database(everything) == before


async def test_asking_for_the_headers_alone_tells_no_more(world: World) -> None:
    for line in LINES:
        if line.method == "GET":
            for caller in ("other", "anonymous", "revoked"):
                path, headers = line.path.format_map(world.ids), world.callers[caller]
                asked, head = [
                    await world.http.request(method, path, headers=headers) for method in ("GET", "HEAD")
                ]
                assert (head.status_code, head.content) == (asked.status_code, b""), (path, caller)


def scrubbed(text: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|dft_[\w-]+", "ID", text)


@pytest.mark.parametrize("caller", ["anonymous", "revoked", "expired"])
async def test_nobody_may_nothing(world: World, caller: str) -> None:
    before = await in_database(everything)
    for line in LINES:
        answer = await world.ask(line, caller)
        assert answer.status_code == 401, line
        assert set(answer.json()) == {"detail"}, line
    assert await in_database(everything) == before


async def test_a_key_may_what_its_scopes_say(world: World) -> None:
    before = await in_database(everything)
    for line in LINES:
        answer = await world.ask(line, "reader")
        assert answer.status_code == (200 if line.scope == READ else 403), f"{line}: {answer.text[:200]}"
    assert await in_database(everything) == before


async def test_a_session_without_a_csrf_token_changes_nothing(world: World) -> None:
    before = await in_database(everything)
    for line in LINES:
        answer = await world.ask(line, "session")
        assert (answer.status_code == 403) is (line.method != "GET"), line
    assert await in_database(everything) == before


@pytest.mark.parametrize("filtered", [False, True], ids=["plain", "filtered"])
async def test_the_owner_may_everything(
    world: World, filtered: bool, run_settings: Any, tmp_path: Path
) -> None:
    """The owner's answers differ from other users', also under an Auth file's condition."""
    if filtered:
        file = tmp_path / "langgraph.json"
        file.write_text(json.dumps({"graphs": {}, "auth": {"path": f"{auth_everything.__name__}:auth"}}))
        run_settings(LANGGRAPH_JSON=str(file))
    await may_everything(world, "owner")


async def test_a_team_shares_everything(shared_world: World) -> None:
    """A member may with another one's objects what their creator may."""
    await may_everything(shared_world, "mate")


async def may_everything(world: World, caller: str) -> None:
    # Deletions come last, and those of a thread or an assistant after those of its objects.
    for line in sorted(LINES, key=lambda line: (line.method == "DELETE", -line.path.count("/"))):
        if "prune" in line.path:
            # This does not change a thread with a run in flight.
            await world.at_rest()
        answer = await world.ask(line, caller)
        label = f"{line}: {answer.status_code} {answer.text[:200]}"
        assert answer.status_code in (200, 202, 204), label
        assert line.method == "DELETE" or answer.text != line.gone, label
        if line.gone == "listed":
            assert any(world.ids[name] in answer.text for name in "tac"), label
        elif line.gone == "quiet":
            assert "event: lifecycle" in answer.text, label
        elif line.gone == "told":
            assert answer.json()["type"] == "success", label


async def test_no_path_has_another_method(world: World) -> None:
    """Also if a header asks for another method."""
    before = await in_database(everything)
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    paths = {line.path.partition("?")[0] for line in LINES}
    known = {(line.method, line.path.partition("?")[0]) for line in LINES}
    for path in sorted(paths):
        for method in methods:
            if (method, path) in known or (method == "HEAD" and ("GET", path) in known):
                continue
            for caller in ("owner", "anonymous"):
                headers = {**world.callers[caller], "X-HTTP-Method-Override": "DELETE"}
                answer = await world.http.request(method, path.format_map(world.ids), headers=headers)
                if caller == "anonymous":
                    # Before anything is revealed about existing objects.
                    assert answer.status_code == 401, (method, path)
                    continue
                # A path of a shorter pattern: "search" in "/assistants/search" is not an assistant's id.
                assert answer.status_code in (405, 422), (method, path)
                assert answer.status_code == 405 or method in ("GET", "PATCH", "DELETE"), (method, path)
    assert await in_database(everything) == before


async def test_all_that_one_may_cancel_is_ones_own(world: World) -> None:
    before = await in_database(everything)
    for caller in ("other", "staff"):
        for status in ("all", "pending", "running"):
            answer = await world.http.post(
                "/runs/cancel", json={"status": status}, headers=world.callers[caller]
            )
            assert answer.status_code == 404
    assert await in_database(everything) == before


def admin_paths(patterns: Any, prefix: str = "/admin/") -> list[str]:
    """Every path of the admin, with values for its parameters."""
    found = []
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            found += admin_paths(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            found.append(prefix + re.sub(r"<[^>]*>", "1", str(pattern.pattern)))
    return found


@pytest.mark.parametrize("caller", ["anonymous", "user", "local"])
def test_the_admin_is_for_staff(caller: str, run_settings: Any) -> None:
    """Also if requests to the API act as the local user, and with a staff member's API key."""
    run_settings(LOCAL_USER=caller == "local")
    client = Client()
    root = get_user_model().objects.create_superuser("root")
    key = keys.create(root.pk, scopes=SCOPES)[1]
    if caller == "user":
        client.force_login(get_user_model().objects.create_user("plain"))
    paths = admin_paths(admin.site.get_urls())
    assert len(paths) > 50
    for path in paths:
        if path in ("/admin/login/", "/admin/logout/") or "(?P" in path:
            continue
        for method in ("get", "post"):
            answer = getattr(client, method)(path, headers={"X-Api-Key": key})
            assert answer.status_code == 302, (method, path)
            assert answer.headers["Location"].startswith(("/admin/login/", "/admin/1/")), (method, path)


def test_the_websockets_are_those_whose_commands_are_tested() -> None:
    """`test_command_tenancy` has a line for each command that they take."""
    assert SOCKET == "threads/<thread_id>/stream/events"


@pytest.mark.parametrize("path", [
    "/threads/{others_thread}/runs/{r}", "/threads/{others_thread}/runs/{r}/cancel", "/threads/{others_thread}/runs/{r}/join",
])  # fmt: skip
async def test_a_run_belongs_to_its_own_thread_alone(world: World, path: str) -> None:
    """Another user cannot reach a run through a thread of their own."""
    method = "POST" if path.endswith("cancel") else "GET"
    answer = await world.ask(Line(method, path, "", ""), "other")
    assert answer.status_code == 404 or "Run not found" in answer.text


#: Places in a body that name another user's object.
FOREIGN_BODIES = [
    {"assistant_id": "{a}"},
    {"thread_id": "{t}", "checkpoint": {"thread_id": "{t}", "checkpoint_id": "{t}"}},
    {"checkpoint_id": "{t}"},
    {"config": {"configurable": {"thread_id": "{t}", "checkpoint_id": "{t}", "user_id": "1"}}},
]


@pytest.mark.parametrize("body", FOREIGN_BODIES, ids=str)
async def test_a_body_reaches_nothing_of_others(world: World, body: dict[str, Any]) -> None:
    thread = await in_database(Thread.objects.get, id=world.ids["t"])
    path = f"/threads/{world.ids['others_thread']}/runs/wait"
    answer = await world.http.post(
        path, json={**RUN, **filled(body, world.ids)}, headers=world.callers["other"]
    )
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
