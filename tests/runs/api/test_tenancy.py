"""Who may do what on every route that the site has: one line for each, and a route without one fails here.

A line says which scope a key needs, and what somebody else gets for an object that is not theirs, which is always what they
would get if it did not exist: `404`; `error`, a stream's 200 whose only event says so; `same`, whatever it is, without a trace
of the owner's objects; `-` where no object is named.
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
from runs.assistant_versions import AssistantVersion
from runs.identity import keys
from runs.identity.principals import READ, SCOPES
from runs.identity.rules import RULES, rule_for
from runs.models import Assistant, Cron, Run
from tests.rows import make_assistant, make_run, make_thread
from tests.runs.api.fixtures import http, logged_in, url
from threads import clock
from threads.database import in_database
from threads.models import Thread
from threads.store.models import StoreItem
from threads.store.namespaces import encode

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

#: In the owner's objects, and in nobody's answer.
CANARY = "canary-owner"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}")
RUN = {"assistant_id": "steps", "input": {"log": []}}
#: Of a route, what its owner sends; `{}` if it needs no body.
BODIES: dict[str, Any] = {
    "POST /assistants": {"graph_id": "steps"},
    "POST /assistants/{}/latest": {"version": 1},
    "POST /threads/prune": {"thread_ids": ["{p}"]},
    "POST /threads/{}/state": {"values": {"log": ["edited"]}, "as_node": "s9"},
    "PATCH /threads/{}/state": {"metadata": {"a": 1}},
    "POST /threads/{}/state/checkpoint": {"checkpoint": {"checkpoint_id": "{k}"}},
    "POST /threads/{}/commands": {"id": 1, "method": "state.get", "params": {}},
    "POST /threads/{}/stream/events": {"channels": ["values"]},
    "POST /threads/{}/runs": RUN,
    "POST /threads/{}/runs/stream": RUN,
    "POST /threads/{}/runs/wait": RUN,
    "POST /runs": RUN,
    "POST /runs/stream": RUN,
    "POST /runs/wait": RUN,
    "POST /runs/batch": [RUN],
    "POST /runs/cancel": {"thread_id": "{t}", "run_ids": ["{r}"]},
    "POST /runs/crons": {**RUN, "schedule": "0 0 1 1 *"},
    "POST /threads/{}/runs/crons": {**RUN, "schedule": "0 0 1 1 *"},
    "PATCH /runs/crons/{}": {"enabled": False},
    "PUT /store/items": {"namespace": ["n"], "key": "k", "value": {}},
    "DELETE /store/items": {"namespace": ["n"], "key": "k"},
}
#: Route, needed scope, and what somebody else gets for the owner's object; `-` where there is no object.
MATRIX = """
    POST   /assistants                          write  -
    POST   /assistants/search                   read   same
    POST   /assistants/count                    read   same
    GET    /assistants/{a}                      read   404
    PATCH  /assistants/{a}                      write  404
    DELETE /assistants/{a}                      write  404
    GET    /assistants/{a}/graph                read   404
    GET    /assistants/{a}/schemas              read   404
    GET    /assistants/{a}/subgraphs            read   404
    GET    /assistants/{a}/subgraphs/{n}       read   404
    POST   /assistants/{a}/versions             read   404
    POST   /assistants/{a}/latest               write  404
    POST   /threads                             write  -
    POST   /threads/search                      read   same
    POST   /threads/count                       read   same
    POST   /threads/prune                       write  same
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
    POST   /threads/{t}/commands                write  same
    POST   /threads/{t}/stream/events           read   same
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
    POST   /runs/batch                          write  -
    POST   /runs/cancel                         write  404
    GET    /runs/{r}/join                       read   error
    GET    /runs/{r}/stream                     read   error
    POST   /runs/crons                          write  -
    POST   /threads/{t}/runs/crons              write  404
    POST   /runs/crons/search                   read   same
    POST   /runs/crons/count                    read   same
    GET    /runs/crons/{c}                      read   404
    PATCH  /runs/crons/{c}                      write  404
    DELETE /runs/crons/{c}                      write  404
    PUT    /store/items                         write  -
    GET    /store/items?namespace=n&key=k       read   same
    DELETE /store/items                         write  same
    POST   /store/items/search                  read   same
    POST   /store/namespaces                    read   same
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
        return f"{self.method} {re.sub(r'{[^}]*}', '{}', self.path.partition('?')[0])}"

    @property
    def endless(self) -> bool:
        """Whether a stream goes on for ever, and only its beginning is read here."""
        return self.path in ("/threads/{t}/stream", "/threads/{t}/stream/events")

    def __str__(self) -> str:
        return self.route


LINES = [Line(*line.split()) for line in MATRIX.split("\n") if line.strip()]


@dataclass(frozen=True)
class Answer:
    status: int
    text: str


@dataclass
class World:
    """The owner's objects, and how everybody asks."""

    http: httpx.AsyncClient
    ids: dict[str, str]
    callers: dict[str, dict[str, str]]

    async def ask(self, line: Line, caller: str, *, missing: bool = False) -> Answer:
        """Ask for the owner's objects, or for some that are not there."""
        ids = {
            name: str(uuid4()) if missing and name not in ("n", "v") else value
            for name, value in self.ids.items()
        }
        path = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], line.path)
        body = json.dumps(BODIES.get(line.route, {}))
        body = re.sub(r"\{(\w)\}", lambda found: ids[found[1]], body)
        sent = {} if line.method == "GET" else {"content": body}
        async with self.http.stream(line.method, path, headers=self.callers[caller], **sent) as response:
            chunks = []
            async for chunk in response.aiter_text():
                chunks.append(chunk)
                if line.endless:
                    break
        return Answer(response.status_code, "".join(chunks))


def build() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    users = get_user_model().objects
    owner = users.create_user("owner")
    for name in ("other", "staff"):
        users.create_user(name, is_staff=name == "staff", is_superuser=name == "staff")
    thread = make_thread(user=owner, metadata={"graph_id": "steps"})
    assistant = make_assistant("nested", user=owner)
    run = make_run("success", thread=thread, user=owner, assistant=assistant)
    other = make_thread(user=users.get(username="other"))
    spare = make_thread(user=owner)
    now = clock.now()
    cron = Cron.objects.create(
        user=owner, assistant=assistant, schedule="0 0 1 1 *", payload={**RUN, "metadata": {"of": CANARY}}, created_at=now,
        updated_at=now, on_run_completed="delete",
    )  # fmt: skip
    StoreItem.objects.create(
        user=owner, namespace=encode(["n"]), key="k", value={"of": CANARY}, created_at=now, updated_at=now
    )
    AssistantVersion.objects.get_or_create(
        assistant=assistant, version=1, defaults={"graph_id": "nested", "created_at": now}
    )
    ids = {
        "t": str(thread.id), "r": str(run.id), "a": str(assistant.id), "c": str(cron.id), "p": str(spare.id),
        "k": str(uuid4()), "n": "child", "others_thread": str(other.id),
    }  # fmt: skip

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
    assert not [line.route for line in LINES if rule_for(line.method, line.route.partition(" ")[2]) is None]
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


def everything() -> list[Any]:
    """All that may be changed."""
    rows: list[Any] = [
        list(model.objects.order_by("pk").values_list("pk", "updated_at"))
        for model in (Thread, Run, Assistant, Cron, StoreItem)
    ]
    return rows


async def test_what_is_not_the_callers_does_not_exist(world: World) -> None:
    """For another user, and for a member of staff, who sees all in the admin and no more than others here."""
    before = await in_database(everything)
    for line in LINES:
        if line.gone == "-":
            continue
        for caller in ("other", "staff"):
            answer, missing = await world.ask(line, caller), await world.ask(line, caller, missing=True)
            label = f"{line} as {caller}: {answer} and {missing}"
            assert answer.status == missing.status == (404 if line.gone == "404" else answer.status), label
            assert answer.status < 500, label
            assert ID.sub("ID", answer.text) == ID.sub("ID", missing.text), label
            assert CANARY not in answer.text, label
            if line.gone == "error":
                assert "Run not found" in answer.text, label
            elif line.gone == "same":
                named = [
                    value
                    for name, value in world.ids.items()
                    if "{" + name + "}" not in line.path and name != "others_thread"
                ]
                assert not [value for value in named if len(value) > 30 and value in answer.text], label
    assert await in_database(everything) == before


@pytest.mark.parametrize("caller", ["anonymous", "revoked", "expired"])
async def test_nobody_may_nothing(world: World, caller: str) -> None:
    before = await in_database(everything)
    for line in LINES:
        answer = await world.ask(line, caller)
        assert answer.status == 401, line
        assert set(json.loads(answer.text)) == {"detail"}, line
    assert await in_database(everything) == before


async def test_a_key_may_what_its_scopes_say(world: World) -> None:
    before = await in_database(everything)
    for line in LINES:
        answer = await world.ask(line, "reader")
        assert (answer.status == 403) is (line.scope != READ), f"{line}: {answer}"
    assert await in_database(everything) == before


async def test_a_session_without_a_csrf_token_changes_nothing(world: World) -> None:
    before = await in_database(everything)
    for line in LINES:
        answer = await world.ask(line, "session")
        assert (answer.status == 403) is (line.method != "GET"), line
    assert await in_database(everything) == before


async def test_the_owner_may_everything(world: World) -> None:
    # What deletes comes last, and a part before its whole.
    for line in sorted(LINES, key=lambda line: (line.method == "DELETE", -len(line.path))):
        answer = await world.ask(line, "owner")
        ended = line.path.endswith("cancel")
        assert answer.status in ((404,) if ended else (200, 202, 204)), f"{line}: {answer}"


@pytest.mark.parametrize("path", [
    "/threads/{others_thread}/runs/{r}", "/threads/{others_thread}/runs/{r}/cancel", "/threads/{others_thread}/runs/{r}/join",
])  # fmt: skip
async def test_a_run_belongs_to_its_own_thread_alone(world: World, path: str) -> None:
    """Another user reaches no run through a thread of their own."""
    method = "POST" if path.endswith("cancel") else "GET"
    answer = await world.ask(Line(method, path, "", ""), "other")
    assert answer.status == 404 or "Run not found" in answer.text


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
