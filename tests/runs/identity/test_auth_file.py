"""Auth files: authentication, authorization by handlers, and what a graph learns about its user."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.contrib.auth import get_user_model
from ninja.errors import HttpError

from runs.api.openapi.document import with_auth_file
from runs.checks.configuration import check_auth_file
from runs.crons.firing import fire
from runs.identity.auth_file import configured as auth_file
from runs.identity.auth_file.authorization import _say_once, authorize
from runs.identity.auth_file.permission import WRONG_VALUE
from runs.identity.auth_file.rules import Rule, rule_for
from runs.identity.auth_file.values import changed, copied, handled
from runs.identity.authentication import details_of, user_id_of, username_for
from runs.identity.credentials import Proof
from runs.identity.principals import Principal
from runs.identity.requests import refuse_other_sites
from runs.identity.sockets import principal_of_scope
from runs.lifecycle.records import Operator
from runs.models import AuthIdentity, Cron, Run
from runs.process.current import current
from runs.retention.users import delete_user
from tests.runs.api import test_secrets as secrets
from tests.runs.api.test_command_tenancy import LIFECYCLE, OverHTTP
from tests.runs.identity import auth_sample
from tests.runs.identity.test_requests import asked
from tests.support.api import http, logged_in, url
from tests.support.rows import make_thread
from tests.support.sockets import socket
from threads.db.database import in_database, threads
from threads.filters import checked, narrowing
from threads.models import StoreItem, Thread

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLE = "tests.runs.identity.auth_sample:auth"


@pytest.fixture
def configured(run_settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Configure an Auth file by its path, and other options of `auth`."""

    def configure(path: str = SAMPLE, **options: Any) -> None:
        file = tmp_path / "langgraph.json"
        file.write_text(json.dumps({"graphs": {}, "auth": {"path": path, **options}}))
        auth_file._load.cache_clear()
        run_settings(
            LANGGRAPH_JSON=str(file),
            GRAPHS={"steps": "tests.support.graphs:steps", "looking": "tests.runs.api.test_secrets:looking"},
        )

    auth_sample.asked.clear()
    secrets.seen.clear()
    yield configure
    auth_file._load.cache_clear()
    threads.close()


@pytest.fixture
def auth(configured: Any) -> None:
    configured()


def ada(**headers: str) -> dict[str, str]:
    return {"Authorization": "Bearer ada", **headers}


BOB = {"Authorization": "Bearer bob"}


@pytest.mark.parametrize("headers, status, said", [
    ({}, 401, "Who are you?"),
    ({"Authorization": "Bearer nobody"}, 401, "Authentication is required."),
    ({"Authorization": "Bearer broken"}, 403, "Authentication failed."),
    ({"Authorization": "Bearer " + "x" * 300}, 403, "Authentication failed."),
])  # fmt: skip
async def test_whom_the_file_does_not_know_is_refused(
    auth: None, http: httpx.AsyncClient, headers: dict[str, str], status: int, said: str
) -> None:
    answer = await http.post("/threads", json={}, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"detail": said})
    assert not await in_database(Thread.objects.exists)


async def test_a_thread_belongs_to_the_user_that_the_file_names(auth: None, http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={}, headers=ada())).json()
    assert thread["metadata"] == {"owner": "ada"}
    row = await in_database(Thread.objects.select_related("user").get, id=thread["thread_id"])
    assert row.user.get_username() == username_for("ada")
    assert not row.user.has_usable_password()
    path = f"/threads/{thread['thread_id']}"
    assert (await http.get(path, headers=ada())).status_code == 200
    assert (await http.get(path, headers=BOB)).status_code == 404
    assert await in_database(AuthIdentity.objects.count) == 2


async def test_a_user_who_is_being_deleted_is_refused_and_then_another(
    auth: None, http: httpx.AsyncClient
) -> None:
    assert (await http.post("/threads", json={}, headers=ada())).status_code == 200
    [before] = await in_database(list, AuthIdentity.objects.values_list("user", flat=True))
    steps = delete_user(before, Operator("root", "command"))
    while (step := await in_database(next, steps, None)) is not None and step[0] != "assistants":
        assert (await http.post("/threads/search", json={}, headers=ada())).status_code == 403, step
    found = await http.post("/threads/search", json={}, headers=ada())
    assert (found.status_code, found.json()) == (200, [])
    [after] = await in_database(list, AuthIdentity.objects.values_list("user", flat=True))
    assert before != after


async def test_a_user_whose_identity_was_deleted_by_hand_is_refused(
    auth: None, http: httpx.AsyncClient
) -> None:
    assert (await http.post("/threads", json={}, headers=ada())).status_code == 200
    await in_database(AuthIdentity.objects.all().delete)
    assert (await http.post("/threads/search", json={}, headers=ada())).status_code == 403


@pytest.mark.parametrize("strategy", ["keep_latest", "delete"])
async def test_a_filter_decides_which_threads_are_pruned(
    auth: None, http: httpx.AsyncClient, strategy: str
) -> None:
    mine, taken = [
        (await http.post("/threads", json={}, headers=ada())).json()["thread_id"] for _ in range(2)
    ]
    await in_database(Thread.objects.filter(id=taken).update, metadata={"owner": "bob"})
    body = {"thread_ids": [mine, taken], "strategy": strategy}
    pruned = await http.post("/threads/prune", json=body, headers=ada())
    assert (pruned.status_code, pruned.json()) == (200, {"pruned_count": 1})


async def test_a_filter_hides_what_does_not_fulfil_it(auth: None, http: httpx.AsyncClient) -> None:
    """On every route of the thread, also for its owner, whose mark was removed in the database."""
    thread = (await http.post("/threads", json={}, headers=ada())).json()["thread_id"]
    body = {"assistant_id": "steps", "input": {"log": []}}
    run = (await http.post(f"/threads/{thread}/runs", json=body, headers=ada())).json()["run_id"]
    await http.get(f"/threads/{thread}/runs/{run}/join", headers=ada())
    await in_database(Thread.objects.filter(id=thread).update, metadata={"owner": "bob"})
    for method, path in (
        ("GET", ""), ("GET", "/state"), ("GET", "/runs"), ("GET", f"/runs/{run}"), ("GET", f"/runs/{run}/join"),
        ("GET", f"/runs/{run}/stream"), ("POST", f"/runs/{run}/cancel"), ("DELETE", f"/runs/{run}"), ("POST", "/runs"),
        ("POST", "/runs/stream"), ("POST", "/runs/wait"),
    ):  # fmt: skip
        sent = {"json": {**body, "if_not_exists": "create"}} if method == "POST" else {}
        answer = await http.request(method, f"/threads/{thread}{path}", headers=ada(), **sent)
        assert answer.status_code == 404, path
    stream = await http.get(f"/runs/{run}/stream", headers=ada())
    assert "Run not found" in stream.text
    assert await in_database(Run.objects.count) == 1
    taken = await http.post("/threads", json={"thread_id": thread, "if_exists": "do_nothing"}, headers=ada())
    assert taken.status_code == 409


async def test_handlers_refuse_and_change_what_is_asked(auth: None, http: httpx.AsyncClient) -> None:
    red = await http.post("/threads", json={"metadata": {"color": "red"}}, headers=ada())
    assert (red.status_code, red.json()) == (403, {"detail": "No red threads."})
    body = {"assistant_id": "steps", "input": {"log": ["forbidden"]}, "method": "x", "params": {}}
    unpaid = await http.post("/runs", json=body, headers=ada())
    assert (unpaid.status_code, unpaid.json()) == (402, {"detail": "Pay first."})
    body["input"] = {"log": []}
    run = (await http.post("/runs", json={**body, "on_completion": "keep"}, headers=ada())).json()
    assert run["metadata"]["owner"] == "ada"
    resource, action, identity, value = auth_sample.asked[-1]
    assert (resource, action, identity) == ("threads", "create_run", "ada")
    assert value["kwargs"]["input"] == {"log": []}
    assert (value["thread_id"], value["multitask_strategy"]) == (None, "enqueue")
    await http.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}", headers=ada())
    assert auth_sample.asked[-1][3]["thread_id"] == UUID(run["thread_id"])


async def test_what_no_other_handler_is_about_goes_to_the_global_one(
    auth: None, http: httpx.AsyncClient
) -> None:
    found = await http.post("/assistants/search", json={}, headers=ada())
    assert {each["graph_id"] for each in found.json()} == {"steps", "looking"}
    one = found.json()[0]["assistant_id"]
    refused = await http.get(f"/assistants/{one}", headers=ada())
    assert (refused.status_code, refused.json()) == (403, {"detail": "Forbidden"})
    assert auth_sample.asked[-1][:3] == ("assistants", "read", "ada")
    assert (await http.post("/threads", json=[1], headers=ada())).status_code == 422
    assert (await http.post("/threads", content=b"{", headers=ada())).status_code == 422


@pytest.mark.parametrize("wait", [0.0, 0.2])
async def test_a_graph_knows_its_user_wherever_it_is_executed(
    auth: None, http: httpx.AsyncClient, wait: float
) -> None:
    """Immediately, by the process that admitted it; later, from the row, like any process."""
    body = {"assistant_id": "looking", "input": {"log": []}, "on_completion": "keep", "after_seconds": wait}
    answer = await http.post("/runs/wait", json=body, headers=ada())
    assert answer.json() == {"log": ["looked"]}
    [config] = secrets.seen
    user = config["langgraph_auth_user"]
    assert config["user_id"] == "ada"
    assert (user.identity, user["github_token"], user.display_name) == ("ada", "token-of-ada", "ada")
    assert sorted(user.team) == ["a", "b"]
    assert (config["langgraph_auth_user_id"], config["langgraph_auth_permissions"]) == (
        "ada",
        ["threads:write"],
    )
    assert "token-of-ada" not in str(config["metadata"])
    assert "token-of-ada" not in repr(user)
    assert (await in_database(Run.objects.get)).auth_details is None
    thread, run = answer.headers["Content-Location"], answer.headers["Location"].removesuffix("/join")
    for path in (run, "/".join(run.split("/")[:3]), "/".join(run.split("/")[:3]) + "/state"):
        shown = await http.get(path, headers=ada())
        assert shown.status_code == 200, thread
        assert "token-of-ada" not in shown.text


async def test_a_graph_knows_the_user_of_a_batch(auth: None, http: httpx.AsyncClient) -> None:
    body = {"assistant_id": "looking", "input": {"log": []}, "on_completion": "keep"}
    [run] = (await http.post("/runs/batch", json=[body], headers=ada())).json()
    answer = await http.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}/join", headers=ada())
    assert answer.json() == {"log": ["looked"]}
    [config] = secrets.seen
    assert (config["langgraph_auth_user"].identity, config["langgraph_auth_user"]["github_token"]) == (
        "ada",
        "token-of-ada",
    )


async def test_this_sites_sessions_and_the_local_user(configured: Any, http: httpx.AsyncClient) -> None:
    configured()
    cookies = await in_database(logged_in, "eve")
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    session = await http.get("/threads/" + "0" * 32, headers={"Cookie": header})
    assert session.status_code == 404
    eve = await in_database(get_user_model().objects.get, username="eve")
    assert auth_sample.asked[-1][2] == str(eve.pk)
    studio = {"x-auth-scheme": "langsmith"}
    await http.get("/threads/" + "0" * 32, headers=studio)
    assert auth_sample.asked[-1][2] == "langgraph-studio-user"
    forwarded = await http.get("/threads/" + "0" * 32, headers={**studio, "X-Forwarded-For": "8.8.8.8"})
    assert forwarded.status_code == 401
    configured(disable_studio_auth=True)
    assert (await http.get("/threads/" + "0" * 32, headers=studio)).status_code == 401


@pytest.mark.parametrize("origins, refused", [(["*"], True), (["https://smith.langchain.com"], False)])
async def test_studio_acts_only_from_a_site_that_was_named(
    auth: None, http: httpx.AsyncClient, run_settings: Any, origins: list[str], refused: bool
) -> None:
    """Any page of an allowed site can claim to be Studio."""
    run_settings(CORS_ORIGINS=origins)
    headers = {"x-auth-scheme": "langsmith", "Origin": "https://smith.langchain.com"}
    answer = await http.post("/threads/search", json={}, headers=headers)
    assert answer.status_code == (403 if refused else 200)
    del headers["Origin"]
    assert (await http.post("/threads/search", json={}, headers=headers)).status_code == 200


@pytest.mark.parametrize("headers, refused", [
    ({"Origin": "https://evil.example"}, True),
    ({"Origin": "https://evil.example", "Authorization": "Bearer ada"}, False),
    ({"Origin": "http://testserver"}, False),
    ({}, False),
])  # fmt: skip
async def test_a_page_elsewhere_cannot_act_by_cookies_that_a_file_reads(
    headers: dict[str, str], refused: bool
) -> None:
    request = asked("POST", cookies={"theirs": "1"}, **headers)
    with pytest.raises(HttpError) if refused else nullcontext():
        await refuse_other_sites(request, Proof.AUTH_FILE)


async def test_a_socket_asks_the_file_too(auth: None) -> None:
    scope = {"type": "websocket", "path": "/", "headers": [(b"authorization", b"Bearer ada")], "client": None}
    principal = await principal_of_scope(scope)
    assert principal.auth_user.identity == "ada"
    assert (await authorize(principal, "threads", "read", {})).filters == {"threads": {"owner": "ada"}}
    with pytest.raises(HttpError) as caught:
        await authorize(principal, "assistants", "delete", {})
    assert caught.value.status_code == 403
    with pytest.raises(HttpError) as caught:
        await authorize(principal, "crons", "search", {})
    assert caught.value.status_code == 500


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_a_command_is_permitted_like_a_request(
    auth: None, http: httpx.AsyncClient, transport: str
) -> None:
    thread = (await http.post("/threads", json={}, headers=ada())).json()["thread_id"]

    @asynccontextmanager
    async def client(headers: dict[str, str]) -> AsyncIterator[Any]:
        if transport == "http":
            yield OverHTTP(http, thread, headers)
        else:
            async with socket(thread, headers) as opened:
                yield opened

    start: dict[str, Any] = {"assistant_id": "steps", "input": {"log": []}}
    async with client(ada()) as adas, client(BOB) as bobs:
        forbidden = await adas.command("run.start", **{**start, "input": {"log": ["forbidden"]}})
        assert (forbidden["error"], forbidden["message"]) == ("unknown_error", "402: Pay first.")
        started = await adas.command("run.start", **start)
        run = await in_database(Run.objects.get, id=started["result"]["run_id"])
        assert run.metadata["owner"] == "ada"
        question = next(each for each in auth_sample.asked[::-1] if each[1] == "create_run")
        assert (question[2], question[3]["thread_id"]) == ("ada", UUID(thread))
        assert question[3]["kwargs"]["input"] == {"log": []}
        missing = f"404: Thread with ID {thread} not found"
        assert (await bobs.command("state.get"))["message"] == missing
        await in_database(Thread.objects.filter(id=thread).update, metadata={"owner": "bob"})
        for method in ("run.start", "state.get", "agent.getTree", "input.respond"):
            assert (await adas.command(method, **start))["message"] == missing
        if transport == "socket":
            subscribed = await adas.command("subscription.subscribe", channels=["lifecycle"])
            assert subscribed["message"] == missing
    assert await in_database(Run.objects.count) == 1


async def test_a_socket_ends_when_its_thread_is_hidden(
    auth: None, http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(IDENTITY_CHECK=0.05)
    thread = (await http.post("/threads", json={}, headers=ada())).json()["thread_id"]
    async with socket(thread, {"Authorization": "Bearer nobody"}) as client:
        assert await client.closed() == (4401, "Authentication is required.")
    async with socket(thread, ada()) as client:
        assert (await client.command("state.get"))["type"] == "success"
        await in_database(Thread.objects.filter(id=thread).update, metadata={"owner": "bob"})
        assert await client.closed() == (4404, f"Thread with ID {thread} not found")
    async with socket(thread, ada()) as client:
        assert (await client.closed())[0] == 4404


@pytest.mark.parametrize("change", [
    {"metadata": "x"}, {"metadata": ["x"]}, {"metadata": 5}, {"kwargs": "x"}, {"kwargs": [1]}, {"namespace": "abc"},
    {"namespace": 5},
])  # fmt: skip
async def test_a_handler_that_makes_nonsense_of_a_value_is_the_sites_fault(
    auth: None, http: httpx.AsyncClient, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    async def spoil(ctx: Any, value: Any) -> None:
        value.update(change)

    file = auth_file.current()
    assert file is not None
    monkeypatch.setattr(auth_file.AuthFile, "handler", lambda *_: spoil)
    asked = [
        ("POST", "/threads", {"metadata": {"a": 1}}, "metadata"),
        ("POST", "/threads/search", {"metadata": {"a": 1}}, "metadata"),
        ("POST", "/runs", {"assistant_id": "steps", "metadata": {"a": 1}}, "metadata"),
        ("POST", "/runs", {"assistant_id": "steps"}, "kwargs"),
        ("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": {}}, "namespace"),
        ("POST", "/store/namespaces", {}, "namespace"),
    ]
    for method, path, body, name in asked:
        if name in change:
            answer = await http.request(method, path, json=body, headers=ada())
            assert (answer.status_code, answer.json()["detail"]) == (500, WRONG_VALUE), path
            assert "made an invalid change" in caplog.text
    assert not await in_database(Thread.objects.exists)


@pytest.mark.parametrize("metadata", ["x", 5, ["x"]])
async def test_metadata_that_are_none_are_the_clients_fault(
    auth: None, http: httpx.AsyncClient, metadata: Any
) -> None:
    thread = (await http.post("/threads", json={}, headers=ada())).json()["thread_id"]
    for path in (f"/threads/{thread}/history", "/threads/search", "/threads", "/runs"):
        body = {"assistant_id": "steps", "metadata": metadata}
        answer = await http.post(path, json=body, headers=ada())
        assert answer.status_code == 422, path


@pytest.mark.parametrize("stream", ["GET /threads/{}/stream", "POST /threads/{}/stream/events"])
async def test_a_stream_ends_when_its_thread_is_hidden(
    auth: None, http: httpx.AsyncClient, run_settings: Any, stream: str
) -> None:
    run_settings(IDENTITY_CHECK=0.2, STREAM_HEARTBEAT=0.1)
    thread = (await http.post("/threads", json={}, headers=ada())).json()["thread_id"]
    method, path = stream.format(thread).split()
    # Ended by the check of the Auth file, or by the missing thread, whichever comes first.
    with suppress(httpx.RemoteProtocolError):
        async with asyncio.timeout(10), http.stream(method, path, headers=ada(), json=LIFECYCLE) as answer:
            heartbeats = 0
            async for _ in answer.aiter_raw():
                heartbeats += 1
                if heartbeats == 6:
                    await in_database(Thread.objects.filter(id=thread).update, metadata={"owner": "bob"})
    assert heartbeats >= 6


@pytest.mark.parametrize("namespace", [5, True, {"a": 1}, 1.5])
async def test_a_namespace_that_is_none_is_refused(
    auth: None, http: httpx.AsyncClient, namespace: Any
) -> None:
    item = {"namespace": namespace, "key": "k", "value": {}}
    assert (await http.put("/store/items", json=item, headers=ada())).status_code == 422
    search = {"namespace_prefix": namespace}
    assert (await http.post("/store/items/search", json=search, headers=ada())).status_code == 422


async def test_a_handler_gives_each_user_a_part_of_the_store(auth: None, http: httpx.AsyncClient) -> None:
    """For all actions of the store; users of the Auth file also have separate stores."""
    item = {"namespace": ["notes"], "key": "k", "value": {"n": 1}}
    assert (await http.put("/store/items", json=item, headers=ada())).status_code == 204
    place = {"namespace": "notes", "key": "k"}
    found = (await http.get("/store/items", params=place, headers=ada())).json()
    assert (found["namespace"], found["value"]) == (["ada", "notes"], {"n": 1})
    outside = await http.get("/store/items", params={"namespace": "", "key": "k"}, headers=ada())
    assert outside.json() is None
    for body in ({}, {"namespace_prefix": None}, {"namespace_prefix": ["notes"]}):
        listed = await http.post("/store/items/search", json=body, headers=ada())
        assert [each["namespace"] for each in listed.json()["items"]] == [["ada", "notes"]], body
    elsewhere = await http.post("/store/items/search", json={"namespace_prefix": ["ada"]}, headers=ada())
    assert elsewhere.json() == {"items": []}
    spaces = await http.post("/store/namespaces", json={}, headers=ada())
    assert spaces.json() == {"namespaces": [["ada", "notes"]]}
    for path in ("/store/items/search", "/store/namespaces"):
        # A missing body does not bypass the handler.
        assert (await http.post(path, headers=ada())).status_code == 422
        assert (await http.post(path, json=[], headers=ada())).status_code == 422
    assert (await http.get("/store/items", params=place, headers=BOB)).json() is None
    await http.request("DELETE", "/store/items", json={"namespace": ["notes"], "key": "k"}, headers=BOB)
    assert await in_database(StoreItem.objects.count) == 1
    await http.request("DELETE", "/store/items", json={"namespace": ["notes"], "key": "k"}, headers=ada())
    assert await in_database(StoreItem.objects.count) == 0


async def test_crons_are_asked_about_and_filtered(auth: None, http: httpx.AsyncClient) -> None:
    cron = {"assistant_id": "steps", "schedule": "0 0 1 1 *", "input": {"log": []}}
    made = (await http.post("/runs/crons", json=cron, headers=ada())).json()
    assert (made["metadata"], made["payload"]["metadata"]) == ({"owner": "ada"}, {"owner": "ada"})
    resource, action, identity, value = auth_sample.asked[-1]
    assert (resource, action, identity) == ("crons", "create", "ada")
    assert value["payload"]["schedule"] == "0 0 1 1 *"
    path = f"/runs/crons/{made['cron_id']}"
    daily = {"schedule": "0 0 * * *"}
    changed = await http.patch(path, json=daily, headers=ada())
    assert (changed.status_code, changed.json()["schedule"]) == (200, "0 0 * * *")
    await in_database(Cron.objects.update, metadata={"owner": "bob"})
    assert (await http.patch(path, json=daily, headers=ada())).status_code == 404
    assert (await http.delete(path, headers=ada())).status_code == 404
    assert (await http.post("/runs/crons/count", json={}, headers=ada())).status_code == 500
    await in_database(Cron.objects.update, metadata={"owner": "ada"})
    assert (await http.delete(path, headers=ada())).status_code == 204


async def test_what_a_cron_or_a_batch_runs_knows_its_user(auth: None, http: httpx.AsyncClient) -> None:
    """A cron fires without a request: its graph learns the identity, but no secret."""
    body = {"assistant_id": "looking", "input": {"log": []}, "on_completion": "keep"}
    [run] = (await http.post("/runs/batch", json=[body], headers=ada())).json()
    await http.get(f"/runs/{run['run_id']}/join", headers=ada())
    assert run["metadata"]["owner"] == "ada"
    [config] = secrets.seen
    assert config["langgraph_auth_user"]["github_token"] == "token-of-ada"
    cron = {"assistant_id": "looking", "schedule": "0 0 1 1 *", "input": {"log": []}}
    made = (await http.post("/runs/crons", json=cron, headers=ada())).json()
    fired = await in_database(fire, UUID(made["cron_id"]), by=Operator("ada", "admin"))
    assert fired is not None
    assert fired.admitted is not None
    assert fired.admitted.run.auth_details == {"identity": "ada"}
    current().work_added()
    await http.get(f"/runs/{fired.admitted.run.id}/join", headers=ada())
    user = secrets.seen[-1]["langgraph_auth_user"]
    assert (user.identity, dict(user).get("github_token")) == ("ada", None)


@pytest.mark.parametrize("path, said", [
    ("./missing.py:auth", "cannot be imported"),
    ("tests.runs.identity.auth_sample:owner", "is no langgraph_sdk.Auth"),
])  # fmt: skip
async def test_a_file_that_cannot_be_used_lets_nobody_in(
    configured: Any, http: httpx.AsyncClient, path: str, said: str
) -> None:
    configured(path)
    [problem] = check_auth_file(None)
    assert said in str(problem.msg)
    assert (await http.post("/threads", json={}, headers=ada())).status_code == 500
    assert not await in_database(Thread.objects.exists)


def test_a_file_beside_the_langgraph_json_is_found(configured: Any, tmp_path: Path) -> None:
    (tmp_path / "auth_beside.py").write_text("from langgraph_sdk import Auth\nauth = Auth()\n")
    configured("./auth_beside.py:auth")
    found = auth_file.current()
    assert found is not None
    assert found.authenticator is None
    assert found.handler("threads", "read") is None
    assert not check_auth_file(None)


async def test_a_filter_of_the_store_says_that_it_has_no_effect(
    auth: None, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    async def narrow(ctx: Any, value: Any) -> dict[str, str]:
        return {"owner": "ada"}

    _say_once.cache_clear()
    monkeypatch.setattr(auth_file.AuthFile, "handler", lambda *_: narrow)
    for _ in range(3):
        assert (await authorize(Principal(1), "store", "search", {})).filters == {}
    assert caplog.text.count("has no effect") == 1


# --- conditions


@pytest.mark.parametrize("condition, fulfilled", [
    ({"owner": "ada"}, True), ({"owner": "bob"}, False), ({"owner": {"$eq": "ada"}}, True), ({"missing": None}, False),
    ({"members": {"$contains": "x"}}, True), ({"members": {"$contains": ["y", "x"]}}, True),
    ({"members": {"$contains": ["x", "z"]}}, False), ({"owner": {"$contains": "ada"}}, False),
    ({"owner": "ada", "members": {"$contains": "z"}}, False), ({"$or": [{"owner": "bob"}, {"owner": "ada"}]}, True),
    ({"$and": [{"owner": "ada"}, {"$or": [{"n": 1}, {"n": 2}]}]}, True), ({"$or": [{"n": 1}, {"n": 3}]}, False),
])  # fmt: skip
def test_a_condition_means_the_same_on_both_databases(condition: dict[str, Any], fulfilled: bool) -> None:
    thread = make_thread(metadata={"owner": "ada", "members": ["x", "y"], "n": 2})
    principal = Principal(thread.user_id).narrowed("threads", checked(condition))
    assert Thread.objects.for_principal(principal).exists() is fulfilled
    assert narrowing(principal, "assistants") == narrowing(Principal(1), "threads")


@pytest.mark.parametrize("condition", [
    [], "x", {"$not": []}, {"a": {"$like": "x"}}, {"$or": []}, {"$or": {"a": 1}}, {1: 2}, {"a": {"$eq": 1, "$contains": 2}},
    {"$or": [{"$or": [{"$or": [{"a": 1}]}]}]}, {"a": UUID(int=1)}, {"a": {"$eq": {1, 2}}}, {"a": float("nan")},
])  # fmt: skip
def test_what_is_no_condition_is_refused(condition: Any) -> None:
    with pytest.raises(ValueError):
        checked(condition)


def test_two_filters_are_both_fulfilled() -> None:
    both = Principal(1).narrowed("threads", {"a": 1}).narrowed("threads", {"b": 2})
    assert both.filters["threads"] == {"$and": [{"a": 1}, {"b": 2}]}


# --- users and values


def test_an_identity_is_one_user_and_never_a_persons_account() -> None:
    admin = get_user_model().objects.create_superuser("admin")
    first = user_id_of("admin")
    assert first == user_id_of("admin") != admin.pk
    assert user_id_of("x" * 255) is not None
    assert user_id_of("a b/c") != user_id_of("a-b-c")
    get_user_model().objects.filter(pk=first).update(is_active=False)
    assert user_id_of("admin") is None


@pytest.mark.parametrize(
    "user", ["", None, {}, {"identity": 1}, {"identity": "a\0"}, {"identity": "x" * 256}]
)
def test_who_has_no_identity_is_nobody(user: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        details_of(user)


class Person:
    identity = "ada"
    permissions = ("a",)


def test_a_user_may_be_a_text_a_mapping_or_an_object() -> None:
    assert details_of("ada") == {"identity": "ada"}
    assert details_of(Person()) == {"identity": "ada", "permissions": ["a"]}


@pytest.mark.parametrize("method, path, body, shown, back", [
    ("GET", "/store/items", {"namespace": "a.b", "key": "k"}, ("a", "b"), {"namespace": ["me", "a", "b"], "key": "k"}),
    ("PUT", "/store/items", {"namespace": ["a"], "key": "k"}, ("a",), {"namespace": ["me", "a"], "key": "k"}),
    ("POST", "/store/items/search", {}, (), {"namespace_prefix": ["me"]}),
    ("POST", "/store/namespaces", {"prefix": ["a"]}, ("a",), {"prefix": ["me", "a"]}),
])  # fmt: skip
def test_a_handler_may_move_a_namespace(
    method: str, path: str, body: dict[str, Any], shown: tuple[str, ...], back: dict[str, Any]
) -> None:
    rule = rule_for(method, path)
    assert isinstance(rule, Rule)
    value = handled(rule, {}, body)
    assert value["namespace"] == shown
    before = copied(value)
    value["namespace"] = ("me", *shown)
    given = dict(body)
    assert changed(rule, (), before, value, body) == back
    assert body == given


def popped(name: str, *parts: str) -> Any:
    """A handler that takes a field out of its value, or out of a part of it."""

    def change(value: dict[str, Any]) -> None:
        for part in parts or ("",):
            (value[part] if part else value).pop(name)

    return change


@pytest.mark.parametrize("method, path, body, change, back", [
    ("POST", "/runs", {"assistant_id": "a", "webhook": "u"}, popped("webhook", "kwargs"), {"assistant_id": "a"}),
    ("POST", "/runs", {"after_seconds": 5, "if_not_exists": "create"}, popped("if_not_exists"), {"after_seconds": 5}),
    ("POST", "/runs", {"input": 1}, popped("kwargs"), {}),
    ("POST", "/runs", {"a": 1}, lambda value: value["kwargs"].update(webhook="u"), {"a": 1, "webhook": "u"}),
    ("POST", "/runs", {"a": 1}, lambda value: value.update(after_seconds=9, status="x"), {"a": 1, "after_seconds": 9}),
    ("POST", "/runs/crons", {"schedule": "s", "webhook": "u"}, popped("webhook"), {"schedule": "s"}),
    ("POST", "/runs/crons", {"schedule": "s", "webhook": "u"}, popped("webhook", "payload"), {"schedule": "s"}),
    ("PATCH", "/runs/crons/{}", {"webhook": "u"}, lambda value: value["payload"].update(webhook="v"), {"webhook": "v"}),
    ("POST", "/threads/search", {"limit": 5, "values": {}}, popped("values"), {"limit": 5}),
    ("POST", "/runs/cancel", {"thread_id": str(UUID(int=1)), "run_ids": []}, popped("run_ids"),
     {"thread_id": str(UUID(int=1))}),
    ("POST", "/threads/{}/history", {"limit": 5}, lambda value: value.update(added=1), {"limit": 5}),
])  # fmt: skip
def test_what_a_handler_takes_out_is_not_asked_for(
    method: str, path: str, body: dict[str, Any], change: Any, back: dict[str, Any]
) -> None:
    rule = rule_for(method, path)
    assert isinstance(rule, Rule)
    value = handled(rule, {}, body)
    before = copied(value)
    change(value)
    made = changed(rule, (), before, value, body)
    made.pop("metadata", None)
    assert made == back


def test_a_path_is_no_handlers_to_change() -> None:
    rule = rule_for("POST", "/threads/{}/runs")
    assert isinstance(rule, Rule)
    body: dict[str, Any] = {"input": 1, "thread_id": "x"}
    value = handled(rule, {"thread_id": str(UUID(int=1))}, body)
    before = copied(value)
    value["thread_id"] = UUID(int=2)
    assert changed(rule, ("thread_id",), before, value, body)["thread_id"] == "x"


def test_the_document_has_the_files_security() -> None:
    made = {
        "components": {"securitySchemes": {"Key": {}}},
        "security": [{"Key": []}],
        "paths": {"/threads": {"post": {}, "get": {}}},
    }
    given = {
        "securitySchemes": {"OAuth2": {"type": "oauth2"}},
        "security": [{"OAuth2": ["me"]}],
        "paths": {"/threads": {"POST": [{"OAuth2": ["write"]}]}, "/unknown": {"GET": []}},
    }
    found = with_auth_file(made, given)
    assert set(found["components"]["securitySchemes"]) == {"Key", "OAuth2"}
    assert found["security"] == [{"OAuth2": ["me"]}, {"Key": []}]
    assert found["paths"] == {"/threads": {"post": {"security": [{"OAuth2": ["write"]}]}, "get": {}}}


async def test_a_cache_asks_the_file_once_for_the_same_credentials(
    configured: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(cache={"cache_keys": ["x-team"], "ttl_seconds": 60, "max_size": 10})
    file = auth_file.current()
    assert file is not None and file.authenticator is not None
    authenticate, times = file.authenticator, []

    async def counted(headers: Any, authorization: str | None, **rest: Any) -> Any:
        times.append(authorization)
        return await auth_file.call(
            authenticate, {"headers": headers, "authorization": authorization, **rest}
        )

    monkeypatch.setattr(file.auth, "_authenticate_handler", counted)
    for headers in (ada(), ada(), BOB, {**BOB, "x-team": "1"}, BOB):
        assert (await http.post("/threads/search", json={}, headers=headers)).status_code == 200
    assert times == [ada()["Authorization"], BOB["Authorization"], BOB["Authorization"]]
    nobody = {"Authorization": "Bearer nobody"}
    assert [(await http.post("/threads", json={}, headers=nobody)).status_code for _ in "12"] == [401, 401]
    assert times[3:] == ["Bearer nobody"] * 2
