"""Every route and command, with every kind of Auth file, for any body.

The routes are those of the API's document, so that new ones are tested too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from runs.api.openapi.document import document
from runs.api.site import api
from runs.identity.auth_file import configured
from runs.identity.auth_file.rules import COMMANDS, Rule, rule_for
from runs.identity.principals import WRITE
from runs.models import Cron, Run
from tests.runs.api.test_command_tenancy import SENT, OverHTTP, outcome
from tests.runs.api.test_tenancy import BODIES, PUBLIC, World, everything, filled, world
from tests.support.api import http, url
from tests.support.sockets import Json, socket
from threads.db.database import in_database

__all__ = ["http", "url", "world"]

pytestmark = pytest.mark.django_db(transaction=True)

#: All kinds of empty JSON bodies.
SHAPES = [b"", b"[]", b"[[]]", b"[{}]", b"null", b"0", b'""', b"{}", b'{"metadata": []}']
REFUSED_BEFORE_ASKED = b'{"metadata": []}'
#: Path parameters, and the owner's objects that they name.
PLACES = {"thread_id": "t", "run_id": "r", "assistant_id": "a", "cron_id": "c", "checkpoint_id": "k"}
MISSING = str(uuid4())


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    operation: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {re.sub(r'{[^}]*}', '{}', self.path)}"

    @property
    def rule(self) -> Rule:
        rule = rule_for(self.method, self.path)
        assert rule is not None, f"{self.name} has no rule"
        return rule

    @property
    def names_things(self) -> bool:
        """Whether its path, or the owner's body, names an object."""
        return "{" in self.path or bool(re.search(r'"\{\w\}"', json.dumps(BODIES.get(self.name, {}))))

    def place(self, ids: dict[str, str]) -> str:
        path = re.sub(r"{(\w+)}", lambda found: ids.get(PLACES.get(found[1], ""), "child"), self.path)
        return path + ("?namespace=notes&key=k" if self.name == "GET /store/items" else "")

    def bodies(self, ids: dict[str, str]) -> Iterator[bytes]:
        yield from SHAPES
        if self.name in BODIES:
            yield json.dumps(filled(BODIES[self.name], ids)).encode()

    @property
    def properties(self) -> set[str]:
        """The names that its body may have."""
        content = self.operation.get("requestBody", {}).get("content", {})
        text = json.dumps(content)
        schemas = document(api)["components"]["schemas"]
        return {
            name
            for reference in re.findall(r"#/components/schemas/(\w+)", text)
            for name in schemas[reference].get("properties", {})
        }


def routes() -> list[Route]:
    return [
        Route(method.upper(), path, operation)
        for path, methods in document(api)["paths"].items()
        for method, operation in methods.items()
        if path not in PUBLIC
    ]


ROUTES = routes()


@pytest.fixture
async def ask(world: World, run_settings: Any, tmp_path: Path) -> AsyncIterator[Ask]:
    run_settings(USER_RUNS_PER_MINUTE=0, USER_CONNECTIONS=0, USER_QUEUE=0, STREAM_HEARTBEAT=0.05)
    yield Ask(world, run_settings, tmp_path)
    configured._load.cache_clear()


class Ask:
    """The owner's requests to a site with a given Auth file."""

    def __init__(self, world: World, run_settings: Any, folder: Path) -> None:
        self.world, self._change, self._folder = world, run_settings, folder
        self.missing = dict.fromkeys(world.ids, MISSING)

    def configure(self, variant: str | None) -> None:
        auth = {"auth": {"path": f"tests.runs.identity.auth_variants:{variant}"}} if variant else {}
        file = self._folder / "langgraph.json"
        file.write_text(json.dumps({"graphs": {}, **auth}))
        configured._load.cache_clear()
        self._change(LANGGRAPH_JSON=str(file))

    async def __call__(
        self, route: Route, body: bytes, ids: dict[str, str], query: str = ""
    ) -> tuple[int, str]:
        """The status, and the beginning of the answer."""
        headers = {**self.world.callers["owner"], "Content-Type": "application/json"}
        path = route.place(ids) + query
        async with self.world.http.stream(route.method, path, content=body, headers=headers) as answer:
            if "event-stream" in answer.headers.get("content-type", ""):
                return answer.status_code, await anext(answer.aiter_text(), "")
            return answer.status_code, (await answer.aread()).decode()

    async def unchanged(self, before: list[Any], *label: object) -> None:
        assert await in_database(everything) == before, label


async def test_a_file_that_only_lets_read_changes_nothing(ask: Ask) -> None:
    ask.configure("read_only")
    before = await in_database(everything)
    for route in ROUTES:
        for body in route.bodies(ask.world.ids):
            status, text = await ask(route, body, ask.world.ids)
            if route.rule.scope != WRITE:
                # Commands are authorised individually, and these bodies are not commands.
                assert status < 500, (route.name, body, text)
                assert status != 403, (route.name, body, text)
            elif body == REFUSED_BEFORE_ASKED:
                assert status in (403, 422), (route.name, body, text)
            else:
                assert (status, json.loads(text)["detail"]) == (403, "Forbidden"), (route.name, body, text)
        await ask.unchanged(before, route.name)


@pytest.mark.parametrize("place", ["/threads/{q}/runs/{%s}", "/runs/{%s}"])
@pytest.mark.parametrize("end", ["join", "stream"])
async def test_leaving_a_response_cancels_for_those_alone_who_may_cancel(
    ask: Ask, place: str, end: str
) -> None:
    headers = ask.world.callers["owner"]

    async def leave(run: str, *, cancels: int) -> int:
        address = f"{filled(place % run, ask.world.ids)}/{end}?cancel_on_disconnect={cancels}"
        async with ask.world.http.stream("GET", address, headers=headers) as answer:
            await anext(answer.aiter_raw(), b"")
            return answer.status_code

    async def status(run: str) -> str:
        return (await Run.objects.aget(id=ask.world.ids[run])).status

    ask.configure("read_only")
    assert await leave("p", cancels=1) == 403
    assert await leave("p", cancels=0) == 200
    ask.configure("hiding_changes")
    assert await leave("p", cancels=1) == 404
    ask.configure("permissive")
    assert await leave("o", cancels=1) == 200
    async with asyncio.timeout(10):
        while await status("o") == "pending":
            await asyncio.sleep(0.02)
    assert (await status("o"), await status("p")) == ("interrupted", "pending")


async def test_a_file_that_fails_lets_nothing_through(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    ask.configure("raising")
    before = await in_database(everything)
    for route in ROUTES:
        for body in route.bodies(ask.world.ids):
            status, text = await ask(route, body, ask.world.ids)
            label = (route.name, body, text)
            assert status == 500 or body == REFUSED_BEFORE_ASKED or route.rule.command, label
            assert status >= 400, label
            assert "secret-of-the-file" not in text, label
        await ask.unchanged(before, route.name)
    assert "secret-of-the-file" in caplog.text


async def test_what_a_filter_hides_does_not_exist(ask: Ask) -> None:
    """Also for its owner: nothing changes, and the answer is that for a missing object."""
    ask.configure("hiding")
    before = await in_database(everything)
    for route in ROUTES:
        # The store has no metadata for a filter, and a command reports the error in its answer.
        if not route.names_things or route.rule.resource == "store" or route.rule.command:
            continue
        there, missing = list(route.bodies(ask.world.ids)), list(route.bodies(ask.missing))
        for body, other in zip(there, missing, strict=True):
            status, text = await ask(route, body, ask.world.ids)
            absent, said = await ask(route, other, ask.missing)
            assert status in (404, absent), (route.name, body, text, said)
            shown = [name for name in "tracqpo" if ask.world.ids[name] in text]
            assert status >= 400 or not shown, (route.name, text)
        await ask.unchanged(before, route.name)


async def test_a_file_that_allows_all_is_as_good_as_none(ask: Ask) -> None:
    found: list[dict[tuple[str, bytes], int]] = []
    for variant in (None, "permissive"):
        ask.configure(variant)
        statuses = {}
        for route in ROUTES:
            for body in route.bodies(ask.missing):
                statuses[route.name, body], _ = await ask(route, body, ask.missing)
        found.append(statuses)
    absent, permissive = found
    # With a file, the reference server answers 404 to a join of a missing run.
    differ = {key for key in absent if absent[key] != permissive[key] and not key[0].endswith("/join")}
    assert differ == set()
    assert {permissive[key] for key in absent if key[0].endswith("/join")} == {404}


NAMING = [
    route
    for route in ROUTES
    if route.rule.action in ("create_run", "create")
    and route.rule.resource in ("threads", "crons")
    and "assistant_id" in route.properties
]


def test_runs_and_crons_name_assistants() -> None:
    assert len(NAMING) >= 9
    assert {route.rule.resource for route in NAMING} == {"threads", "crons"}


@pytest.mark.parametrize("variant", ["hiding_assistants", "hiding"])
async def test_an_assistant_that_is_hidden_cannot_be_run(ask: Ask, variant: str) -> None:
    ask.configure(variant)
    before = await in_database(everything)
    for route in (each for each in ROUTES if each.rule.action in ("create_run", "create")):
        valid = BODIES.get(route.name)
        body = [{**each, "assistant_id": "{a}"} for each in valid] if isinstance(valid, list) else valid
        if isinstance(valid, dict) and "assistant_id" in valid:
            body = {**valid, "assistant_id": "{a}"}
        if "{a}" not in json.dumps(body):
            continue
        status, text = await ask(route, json.dumps(filled(body, ask.world.ids)).encode(), ask.world.ids)
        assert status == 404, (route.name, text)
        await ask.unchanged(before, route.name)
    started = await OverHTTP(ask.world.http, ask.world.ids["t"], ask.world.callers["owner"]).command(
        "run.start", assistant_id=ask.world.ids["a"], input={"log": []}
    )
    assert (started["type"], started["message"][:5]) == ("error", "404: ")
    await ask.unchanged(before, "run.start")


async def test_a_thread_that_is_hidden_gets_no_cron_and_shows_none(ask: Ask) -> None:
    [route] = [each for each in ROUTES if each.name == "POST /threads/{}/runs/crons"]
    body = json.dumps(filled(BODIES[route.name], ask.world.ids)).encode()
    ask.configure(None)
    assert (await ask(route, body, ask.world.ids))[0] == 200
    ask.configure("without_threads")
    before = await in_database(everything)
    assert (await ask(route, body, ask.world.ids))[0] == 404
    await ask.unchanged(before)
    [count] = [each for each in ROUTES if each.name == "POST /runs/crons/count"]
    # The one that has no thread.
    assert await ask(count, b"{}", ask.world.ids) == (200, "1")
    named = json.dumps({"thread_id": ask.world.ids["t"]}).encode()
    assert (await ask(count, named, ask.world.ids))[0] == 404
    [search] = [each for each in ROUTES if each.name == "POST /runs/crons/search"]
    assert ask.world.ids["t"] not in (await ask(search, b"{}", ask.world.ids))[1]


async def test_what_handlers_take_out_is_gone_wherever_runs_and_crons_are_made(ask: Ask) -> None:
    ask.configure("removing")
    await in_database(Run.objects.all().delete)
    await in_database(Cron.objects.all().delete)
    more = {"webhook": "https://example.com/told", "after_seconds": 3600}
    for route in NAMING:
        valid = BODIES[route.name]
        body = [{**each, **more} for each in valid] if isinstance(valid, list) else {**valid, **more}
        headers, path = ask.world.callers["owner"], route.place(ask.world.ids)
        async with ask.world.http.stream(route.method, path, json=body, headers=headers) as answer:
            assert answer.status_code == 200, route.name
    runs = await in_database(lambda: [run.kwargs for run in Run.objects.all()])
    crons = await in_database(lambda: [cron.payload for cron in Cron.objects.all()])
    assert len(runs) + len(crons) == len(NAMING) + 1
    assert not [each for each in [*runs, *crons] if each.get("webhook")]


# --- what a parameter does in addition to the route's own action

JOINING = [
    route for route in ROUTES if route.method == "GET" and re.search(r"{run_id}/(stream|join)$", route.path)
]
LEAVING = "?cancel_on_disconnect=1"


def test_runs_are_joined_with_and_without_their_threads() -> None:
    assert len(JOINING) == 4


@pytest.mark.parametrize("variant, code", [("read_only", 403), ("hiding_changes", 404)])
@pytest.mark.parametrize("query", [LEAVING, "?cancel_on_disconnect=0&cancel_on_disconnect=True"])
async def test_a_reader_who_may_not_cancel_cannot_cancel_by_leaving(
    ask: Ask, variant: str, code: int, query: str
) -> None:
    ask.configure(variant)
    before = await in_database(everything)
    for route in JOINING:
        status, text = await ask(route, b"", ask.world.ids, query)
        assert status == code, (route.name, text)
        await ask.unchanged(before, route.name)


async def test_a_reader_who_may_not_cancel_still_reads(ask: Ask) -> None:
    ask.configure("read_only")
    for route in JOINING:
        for query in ("", "?cancel_on_disconnect=0"):
            status, text = await ask(route, b"", ask.world.ids, query)
            assert status == 200, (route.name, text)


async def test_what_exists_is_shown_only_to_those_who_may_read(ask: Ask) -> None:
    """`if_exists` returns the existing object, which reads it."""
    given = {
        "POST /threads": {"thread_id": ask.world.ids["t"], "if_exists": "do_nothing"},
        "POST /assistants": {
            "assistant_id": ask.world.ids["a"], "graph_id": "steps", "if_exists": "do_nothing",
        },
    }  # fmt: skip
    for variant, code in (("create_only", 403), ("permissive", 200), (None, 200)):
        ask.configure(variant)
        before = await in_database(everything)
        for route in (each for each in ROUTES if each.name in given):
            body = json.dumps(given[route.name]).encode()
            status, text = await ask(route, body, ask.world.ids)
            assert status == code, (variant, route.name, text)
            await ask.unchanged(before, route.name)
    ask.configure("create_only")
    [route] = [each for each in ROUTES if each.name == "POST /threads"]
    body = json.dumps({"thread_id": str(uuid4()), "if_exists": "do_nothing"}).encode()
    assert (await ask(route, body, ask.world.ids))[0] == 200


# --- commands


async def command(ask: Ask, transport: str, method: str) -> Json:
    params = filled(SENT[method][0], ask.world.ids)
    thread, headers = ask.world.ids["t"], ask.world.callers["owner"]
    if transport == "http":
        return await OverHTTP(ask.world.http, thread, headers).command(method, **params)
    async with socket(thread, headers) as client:
        return await client.command(method, **params)


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_commands_that_a_file_does_not_allow_change_nothing(ask: Ask, transport: str) -> None:
    ask.configure("read_only")
    before = await in_database(everything)
    for method, rule in COMMANDS.items():
        if transport == "http" and method.startswith("subscription."):
            continue
        answer = await command(ask, transport, method)
        assert (outcome(answer) == "permission_denied") is (rule.scope == WRITE), (method, answer)
    await ask.unchanged(before)


@pytest.mark.parametrize("variant, code", [("hiding", 4404), ("raising", 1011)])
async def test_a_socket_that_a_file_does_not_allow_is_closed(ask: Ask, variant: str, code: int) -> None:
    ask.configure(variant)
    async with socket(ask.world.ids["t"], ask.world.callers["owner"]) as client:
        assert (await client.closed())[0] == code


@pytest.mark.parametrize("variant", ["hiding", "raising"])
async def test_commands_by_post_say_what_is_wrong(ask: Ask, variant: str) -> None:
    ask.configure(variant)
    before = await in_database(everything)
    headers, path = ask.world.callers["owner"], f"/threads/{ask.world.ids['t']}/commands"
    for method in (each for each in COMMANDS if not each.startswith("subscription.")):
        body = {"id": 1, "method": method, "params": filled(SENT[method][0], ask.world.ids)}
        answer = await ask.world.http.post(path, json=body, headers=headers)
        if variant == "raising":
            assert answer.status_code == 500, method
        else:
            assert answer.json()["type"] == "error", method
            assert "404: Thread with ID" in answer.json()["message"], method
    await ask.unchanged(before)
