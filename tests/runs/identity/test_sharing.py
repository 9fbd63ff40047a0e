"""Rows that belong to whom the Auth file's filters say. `tests.runs.api.test_tenancy` asks every route."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model

from runs import agents
from runs.checks.exposure import check_ownership
from runs.crons.firing import fire
from runs.exceptions import NotFound
from runs.graphs.stores import store_of_run
from runs.identity.auth_file import configured
from runs.identity.principals import Principal
from runs.lifecycle.records import Operator
from runs.models import Assistant, Cron, Run
from runs.retention.users import delete_user
from tests.runs.api import auth_teams
from tests.runs.api.test_command_tenancy import LIFECYCLE, SENT, OverHTTP, outcome, outcomes
from tests.runs.api.test_tenancy import RUN, World, everything, scrubbed, shared_world
from tests.support.api import http, url
from tests.support.rows import make_run, make_thread
from tests.support.sockets import socket
from threads.db.database import in_database
from threads.models import StoreItem, Thread
from threads.store.embedding import StoreConfig
from threads.store.user_store import UserStore
from threads.texts.writing import write_of

__all__ = ["http", "shared_world", "url"]

pytestmark = pytest.mark.django_db(transaction=True)


def user(name: str) -> Any:
    return get_user_model().objects.get(username=name)


async def named(name: str) -> Any:
    return await in_database(user, name)


def use(run_settings: Any, folder: Path, file: str, **settings: Any) -> None:
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": {}, "auth": {"path": file}}))
    configured._load.cache_clear()
    run_settings(LANGGRAPH_JSON=str(path), **settings)


# --- who shares


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_a_team_shares_commands(shared_world: World, transport: str) -> None:
    """Each command, for a member, and for another team, to whom the thread looks like a missing one."""
    world, thread = shared_world, shared_world.ids["t"]

    async def ask(caller: str, thread: str, **options: Any) -> dict[str, Any]:
        headers = world.callers[caller]
        if transport == "http":
            return await outcomes(OverHTTP(world.http, thread, headers), world, thread, **options)
        async with socket(thread, headers) as client:
            answers = await outcomes(client, world, thread, **options)
            assert bool(client.events) is (caller == "mate")
            return answers

    before = await in_database(everything)
    strangers = await ask("other", thread)
    missing = await ask("other", str(uuid4()), but=("run.start",))
    assert await in_database(everything) == before
    for method, answer in missing.items():
        assert scrubbed(str(answer)) == scrubbed(str(strangers[method])), method
    for method, answer in (await ask("mate", thread)).items():
        assert outcome(answer) == SENT[method][1], (method, answer)
        assert outcome(strangers[method]) == SENT[method][2], method


async def test_without_a_handler_everybody_shares_everything(
    http: httpx.AsyncClient, run_settings: Any, tmp_path: Path
) -> None:
    """Like on the reference server."""
    use(run_settings, tmp_path, "tests.runs.identity.auth_open:auth", OWNERSHIP="auth", LOCAL_USER=False)
    ada, bob = ({"Authorization": f"Bearer {name}"} for name in ("ada", "bob"))
    thread = (await http.post("/threads", json={}, headers=ada)).json()["thread_id"]
    assistant = (await http.post("/assistants", json={"graph_id": "steps"}, headers=ada)).json()
    item = {"namespace": ["n"], "key": "k", "value": {"a": 1}}
    assert (await http.put("/store/items", json=item, headers=ada)).status_code == 204
    assert (await http.get(f"/threads/{thread}", headers=bob)).status_code == 200
    assert (await http.get(f"/assistants/{assistant['assistant_id']}", headers=bob)).status_code == 200
    assert (await http.get("/store/items?namespace=n&key=k", headers=bob)).json()["value"] == {"a": 1}


@pytest.mark.parametrize("ownership, file", [("user", "tests.runs.api.auth_teams:auth"), ("auth", None)])
async def test_nothing_is_shared_otherwise(
    shared_world: World, run_settings: Any, tmp_path: Path, ownership: str, file: str | None
) -> None:
    """In a site whose rows belong to users, and in one that lacks the Auth file."""
    if file is None:
        configured._load.cache_clear()
        run_settings(OWNERSHIP=ownership, LANGGRAPH_JSON="")
    else:
        use(run_settings, tmp_path, file, OWNERSHIP=ownership)
    for place in ("/threads/{t}", "/assistants/{a}", "/runs/crons/{c}"):
        path = place.format_map(shared_world.ids)
        answers = [
            await shared_world.http.get(path, headers=shared_world.callers[c]) for c in ("owner", "mate")
        ]
        assert [answer.status_code for answer in answers] == [200, 404], path


async def test_what_was_not_asked_stays_ones_own(shared_world: World) -> None:
    """Code that forgets to ask the Auth file shows too little, not too much."""
    mate = await named("mate")
    for model in (Thread, Run, Cron, StoreItem):
        assert await in_database(model.objects.exists)
        assert not await in_database(model.objects.for_principal(Principal(mate.pk)).exists)  # type: ignore[attr-defined]
    seen = Assistant.objects.for_principal(Principal(mate.pk).sharing("threads"))
    assert await in_database(seen.filter(user__isnull=False).count) == 0


async def test_what_a_handler_refuses_is_403(shared_world: World, run_settings: Any, tmp_path: Path) -> None:
    use(run_settings, tmp_path, "tests.runs.identity.auth_variants:read_only", OWNERSHIP="auth")
    before = await in_database(everything)
    path, headers = f"/threads/{shared_world.ids['t']}", shared_world.callers["mate"]
    assert (await shared_world.http.get(path, headers=headers)).status_code == 200
    for method, to in (("PATCH", path), ("DELETE", path), ("POST", f"{path}/runs")):
        answer = await shared_world.http.request(method, to, headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})
    assert await in_database(everything) == before


def test_without_an_auth_file_the_check_says_so(run_settings: Any) -> None:
    run_settings(OWNERSHIP="auth", LANGGRAPH_JSON="")
    [problem] = check_ownership(None)
    assert (problem.id, problem.msg.count(".")) == ("runs.E023", 1)
    run_settings(OWNERSHIP="user")
    assert check_ownership(None) == []


async def test_the_chat_page_shows_a_teams_threads(shared_world: World) -> None:
    thread, callers = shared_world.ids["t"], shared_world.callers
    for caller, found in (("mate", True), ("other", False)):
        page = await shared_world.http.get(f"/chat/{thread}/", headers=callers[caller])
        assert page.status_code == 200, page.text
        runs = await shared_world.http.get(f"/chat/{thread}/runs/", headers=callers[caller])
        assert (runs.status_code, shared_world.ids["r"] in runs.text) == (200, found)
        plain = await shared_world.http.get(f"/chat/{thread}/plain/", headers=callers[caller])
        assert plain.status_code == (200 if found else 404)


# --- who pays


async def test_what_a_member_makes_is_counted_to_the_member(shared_world: World) -> None:
    """Also with a key for repeated requests, which is its user's alone."""
    world, thread, mate = shared_world, shared_world.ids["t"], await named("mate")
    made: dict[str, list[str]] = {}
    for caller in ("mate", "mate", "owner"):
        headers = {**world.callers[caller], "Idempotency-Key": "k"}
        answer = await world.http.post(f"/threads/{thread}/runs", json=RUN, headers=headers)
        assert answer.status_code == 200, answer.text
        made.setdefault(caller, []).append(answer.json()["run_id"])
    assert made["mate"][0] == made["mate"][1] != made["owner"][0]
    run = await in_database(Run.objects.select_related("thread").get, id=made["mate"][0])
    assert (run.user_id, run.thread.user_id) == (mate.pk, (await named("owner")).pk)
    copied = await world.http.post(f"/threads/{thread}/copy", headers=world.callers["mate"])
    copy = await in_database(Thread.objects.get, id=copied.json()["thread_id"])
    assert copy.user_id == mate.pk


async def test_a_members_texts_are_found(shared_world: World) -> None:
    thread = await in_database(Thread.objects.get, id=shared_world.ids["t"])
    thread.values = {"messages": [{"type": "human", "content": "Where is the lighthouse?"}]}
    await in_database(thread.save)
    await in_database(write_of, [thread])
    for caller, found in (("owner", 1), ("mate", 1), ("other", 0)):
        answer = await shared_world.http.post(
            "/threads/search", json={"text": "lighth"}, headers=shared_world.callers[caller]
        )
        assert len(answer.json()) == found, caller


# --- the store


async def test_users_put_one_item_at_a_place(shared_world: World) -> None:
    """At the same time, each with all of several places, in another order."""
    places = [("shared", str(number)) for number in range(40)]
    principals = [Principal((await named(name)).pk).sharing("store") for name in ("owner", "mate", "other")]
    stores = [UserStore(principal, StoreConfig()) for principal in principals]

    async def put(number: int) -> None:
        for place in places[:: 1 - 2 * (number % 2)]:
            await stores[number].aput(place[:1], place[1], {"by": number})

    await asyncio.gather(*(put(number) for number in range(3)))
    shared = StoreItem.objects.filter(key__in=[key for _, key in places])
    rows = await in_database(lambda: list(shared.values_list("key", flat=True)))
    keys = {key for _, key in places}
    assert sorted(rows) == sorted(keys)
    for store in stores:
        found = await store.asearch(("shared",), limit=100)
        assert {item.key for item in found} == keys
        assert ("shared",) in await store.alist_namespaces()
    await stores[1].adelete(("shared",), "0")
    assert await stores[0].aget(("shared",), "0") is None


async def test_a_graph_uses_the_store_that_users_share(shared_world: World) -> None:
    run = await in_database(
        lambda: make_run("running", user=user("other"), thread=make_thread(user=user("other")))
    )
    await in_database(Thread.objects.filter(id=run.thread_id).update, epoch=run.epoch)
    store = store_of_run(run)
    [item] = await store.asearch(("owner",))
    await store.aput(item.namespace, item.key, {"by": "graph"})
    headers = shared_world.callers["mate"]
    read = await shared_world.http.get("/store/items?namespace=notes&key=k", headers=headers)
    assert read.json()["value"] == {"by": "graph"}


# --- without a request


async def test_a_members_cron_runs_on_a_shared_thread(shared_world: World) -> None:
    world = shared_world
    body = {**RUN, "assistant_id": world.ids["a"], "schedule": "0 0 1 1 *"}
    path = f"/threads/{world.ids['t']}/runs/crons"
    assert (await world.http.post(path, json=body, headers=world.callers["other"])).status_code == 404
    made = (await world.http.post(path, json=body, headers=world.callers["mate"])).json()
    fired = await in_database(fire, UUID(made["cron_id"]), by=Operator("ada", "admin"))
    assert fired is not None
    assert fired.admitted is not None, fired
    assert fired.admitted.run.user_id == (await named("mate")).pk


async def test_python_shares_too(shared_world: World) -> None:
    thread, run = UUID(shared_world.ids["t"]), UUID(shared_world.ids["r"])
    mate, other = await named("mate"), await named("other")
    assert (await agents.astate(thread, user=mate)).thread_id == thread
    assert (await agents.await_result(run, user=mate, timeout=20)).status == "success"
    started = await agents.astart(shared_world.ids["a"], {"log": []}, user=mate, thread_id=thread)
    assert (await agents.await_result(started.id, user=mate, timeout=20)).status == "success"
    await agents.acancel(UUID(shared_world.ids["p"]), user=mate)
    for call in (
        agents.astate(thread, user=other),
        agents.await_result(run, user=other, timeout=20),
        agents.astart("steps", {"log": []}, user=other, thread_id=thread),
        agents.astart(shared_world.ids["a"], {"log": []}, user=other),
        agents.aanswer(thread, "yes", user=other),
    ):
        with pytest.raises(NotFound):
            await call


# --- ends


@pytest.mark.parametrize("stream", ["GET /threads/{}/stream", "POST /threads/{}/stream/events", "socket"])
async def test_who_leaves_a_team_reads_no_more(shared_world: World, run_settings: Any, stream: str) -> None:
    run_settings(IDENTITY_CHECK=0.1, STREAM_HEARTBEAT=0.05)
    thread, headers, mate = shared_world.ids["t"], shared_world.callers["mate"], await named("mate")
    if stream == "socket":
        async with socket(thread, headers) as client:
            await client.command("subscription.subscribe", **LIFECYCLE)
            auth_teams.teams[str(mate.pk)] = "other"
            assert (await client.closed())[0] == 4404
        return
    method, path = stream.format(thread).split()
    with suppress(httpx.RemoteProtocolError):
        async with (
            asyncio.timeout(10),
            shared_world.http.stream(method, path, headers=headers, json=LIFECYCLE) as answer,
        ):
            assert answer.status_code == 200
            async for _ in answer.aiter_raw():
                auth_teams.teams[str(mate.pk)] = "other"


@pytest.mark.parametrize("by_command", [True, False])
async def test_a_member_who_is_deleted_leaves_the_others_theirs(
    shared_world: World, by_command: bool
) -> None:
    """The thread does not wait for a run that is gone, and an assistant goes on with those who use it."""
    thread, mate, owner = shared_world.ids["t"], await named("mate"), await named("owner")
    body = {**RUN, "assistant_id": shared_world.ids["a"], "after_seconds": 3600}
    path = f"/threads/{thread}/runs"
    waiting = await shared_world.http.post(path, json=body, headers=shared_world.callers["mate"])
    assert waiting.status_code == 200, waiting.text
    if by_command:
        await in_database(Assistant.objects.filter(id=shared_world.ids["a"]).update, user=mate)
        await in_database(lambda: list(delete_user(mate.pk, Operator("ada", "command"))))
        kept = await in_database(Assistant.objects.get, id=shared_world.ids["a"])
        assert kept.user_id == owner.pk
    else:
        await in_database(mate.delete)
    assert await in_database(Run.objects.filter(id=shared_world.ids["r"]).exists)
    assert not await in_database(Run.objects.filter(id=waiting.json()["run_id"]).exists)
    left = await in_database(Thread.objects.get, id=thread)
    assert left.status == left.resting_status
    ran = await shared_world.http.post(f"{path}/wait", json=RUN, headers=shared_world.callers["owner"])
    assert ran.status_code == 200, ran.text
