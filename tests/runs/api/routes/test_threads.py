"""Threads over HTTP with runs and checkpoints: created with a state, copied, deleted."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from django.db import connection
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError

from runs import deletion
from runs.conf import settings
from runs.retention import thread_deletion
from runs.retention.policy import Policy
from runs.states import copies, edits
from tests.runs.api.routes.test_states import STEPS, ran
from tests.runs.api.routes.test_streams import new_thread, sleep, until
from tests.support.retention import report_of, traces
from threads.checkpoints import drafts
from threads.checkpoints.opening import open_pruning
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread

SUPERSTEPS: list[Any] = [
    {"updates": [{"values": {"log": ["given"]}, "as_node": "__input__"}]},
    {"updates": [{"values": {"log": ["given"]}, "as_node": "__start__"}]},
    {"updates": [{"values": {"log": ["s0"]}, "as_node": "s0"}]},
]


# --- created with a state


async def test_a_thread_can_begin_with_a_state(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create(graph_id="steps", supersteps=SUPERSTEPS)
    assert (thread["status"], thread["values"]) == ("interrupted", {"log": ["given", "s0"]})
    history: list[Any] = await sdk.threads.get_history(thread["thread_id"])
    assert [(each["metadata"]["source"], each["metadata"]["step"]) for each in history] == [
        ("update", 1),
        ("update", 0),
        ("input", -1),
    ]
    assert history[0]["next"] == ["s1"]
    done: Any = await sdk.runs.wait(thread["thread_id"], "steps", input=None)
    assert done["log"] == ["given", *STEPS]


@pytest.mark.parametrize("update", [{"log": ["by command"]}, [["log", ["by command"]]]])
async def test_a_command_can_be_a_superstep(http: httpx.AsyncClient, update: Any) -> None:
    step = {"updates": [{"command": {"update": update, "goto": "s8"}, "as_node": "s0"}]}
    body = {"metadata": {"graph_id": "steps"}, "supersteps": [*SUPERSTEPS[:2], step]}
    thread = (await http.post("/threads", json=body)).json()
    assert thread["values"] == {"log": ["given", "by command"]}
    state = (await http.get(f"/threads/{thread['thread_id']}/state")).json()
    assert "s8" in state["next"]


async def test_a_state_that_cannot_be_makes_no_thread(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    chosen = str(uuid4())
    with pytest.raises(BadRequestError):
        await sdk.threads.create(thread_id=chosen, supersteps=SUPERSTEPS)
    bad: Any = [{"updates": [{"values": {"log": ["x"]}, "as_node": "nope"}]}]
    with pytest.raises(BadRequestError):
        await sdk.threads.create(thread_id=chosen, graph_id="steps", supersteps=bad)
    assert await in_database(Thread.objects.filter(id=chosen).count) == 0
    made = await sdk.threads.create(thread_id=chosen, graph_id="steps", supersteps=SUPERSTEPS)
    again = await sdk.threads.create(
        thread_id=chosen, graph_id="steps", supersteps=SUPERSTEPS, if_exists="do_nothing"
    )
    assert again == made
    with pytest.raises(ConflictError):
        await sdk.threads.create(thread_id=chosen, graph_id="steps", supersteps=SUPERSTEPS)
    body = {"metadata": {"graph_id": "gone"}, "supersteps": SUPERSTEPS}
    assert (await http.post("/threads", json=body)).status_code == 404


@pytest.mark.parametrize("landed", [False, True])
async def test_a_death_while_a_thread_is_made_leaves_its_id_free(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    """Also a crash just after its checkpoints were written, to a separate file on SQLite."""
    thread_id = str(uuid4())
    body = {"thread_id": thread_id, "metadata": {"graph_id": "steps"}, "supersteps": SUPERSTEPS}

    def land(*args: Any, **options: Any) -> None:
        if landed:
            drafts.land(*args, **options)
        die()

    with monkeypatch.context() as patched:
        patched.setattr(edits, "land", land)
        assert (await http.post("/threads", json=body)).status_code == 500
    assert (await http.get(f"/threads/{thread_id}")).status_code == 404
    left = await in_database(traces, UUID(thread_id))
    assert not left or (landed and connection.vendor == "sqlite")
    made = await http.post("/threads", json={**body, "if_exists": "do_nothing"})
    assert made.status_code == 200
    assert made.json()["values"] == {"log": ["given", "s0"]}
    history = (await http.get(f"/threads/{thread_id}/history")).json()
    assert [state["metadata"]["step"] for state in history] == [1, 0, -1]


def die(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("the process died")


def swept(thread_id: UUID) -> dict[str, int]:
    """The remaining rows of a thread after the sweep, which comes an hour later."""
    pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
    assert thread_id not in deletion.overdue(clock.now()).values_list("id", flat=True)
    Thread.objects.filter(id=thread_id).update(discarded_at="2026-01-01T00:00:00Z")
    for _ in deletion.discarded(pruning):
        pass
    return traces(thread_id)


# --- copies


async def test_a_copy_has_all_that_the_thread_has_but_its_runs(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create(metadata={"mine": 1}, ttl=60))["thread_id"]
    await sdk.runs.wait(thread, "questions", input={"log": []})
    copy: Any = await sdk.threads.copy(thread)
    assert copy["thread_id"] != thread
    source = await sdk.threads.get(thread)
    for field in ("metadata", "status", "config", "values", "interrupts", "error"):
        assert copy[field] == source[field]
    there, here = [await sdk.threads.get_history(each, limit=100) for each in (thread, copy["thread_id"])]
    assert str(here) == str(there).replace(thread, copy["thread_id"])
    assert await sdk.runs.list(copy["thread_id"]) == []
    shown: Any = await sdk.threads.get(copy["thread_id"], include=["ttl"])
    assert shown["ttl"]["ttl_minutes"] == 60
    for _ in range(2):
        await sdk.runs.wait(copy["thread_id"], "questions", command={"resume": "yes"})
    assert await sdk.threads.get_history(thread, limit=100) == there
    assert (await sdk.threads.get_state(copy["thread_id"]))["values"]["log"][-2:] != source["values"]["log"][
        -2:
    ]


async def test_a_thread_is_copied_in_the_middle_of_a_run(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = await new_thread(http)
    body = {"assistant_id": "steps", "input": {"log": [], "delay": 0.05}, "durability": "sync"}
    run = (await http.post(f"/threads/{thread}/runs", json=body)).json()["run_id"]
    while not (await sdk.threads.get_state(thread))["values"].get("log"):
        await asyncio.sleep(0.01)
    copy: Any = await sdk.threads.copy(thread)
    state: Any = await sdk.threads.get_state(copy["thread_id"])
    assert copy["values"] == state["values"]
    # A task whose writes have landed is no longer among the next tasks.
    assert (copy["status"], len(state["tasks"])) == ("interrupted", 1)
    await http.get(f"/threads/{thread}/runs/{run}/join")
    done: Any = await sdk.runs.wait(copy["thread_id"], "steps", input=None)
    assert done["log"] == STEPS


async def test_an_empty_thread_can_be_copied_and_one_that_is_not_there_cannot(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create(metadata={"a": 1})
    copy: Any = await sdk.threads.copy(thread["thread_id"])
    assert (copy["metadata"], copy["status"]) == ({"a": 1}, "idle")
    assert await sdk.runs.wait(copy["thread_id"], "steps", input={"log": []}) == {"log": STEPS}
    with pytest.raises(NotFoundError):
        await sdk.threads.copy(str(uuid4()))


@pytest.mark.parametrize("step", ["_fill", "_standing", "_show"])
async def test_a_death_within_a_copy_leaves_what_nobody_sees(
    http: httpx.AsyncClient, sdk: LangGraphClient, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    thread = await ran(sdk)
    monkeypatch.setattr(copies, step, die)
    assert (await http.post(f"/threads/{thread}/copy")).status_code == 500
    assert [each["thread_id"] for each in await sdk.threads.search()] == [thread]
    hidden = await in_database(Thread.objects.exclude(id=thread).get)
    assert await in_database(swept, hidden.id) == {}


# --- sizes


async def test_a_threads_storage_is_measured(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    empty, thread = await new_thread(http), await ran(sdk)
    nothing = (await http.get(f"/threads/{empty}/storage")).json()
    assert (nothing["thread_id"], nothing["total_bytes"]) == (empty, 0)
    found = (await http.get(f"/threads/{thread}/storage")).json()
    parts = [found[name] for name in ("checkpoints", "channel_values", "pending_writes")]
    assert found["total_bytes"] == sum(part["bytes"] for part in parts)
    assert found["checkpoints"]["count"] == 12
    assert found["pending_writes"]["count"] > 10
    channels = found["channel_values"]["by_channel"]
    assert found["channel_values"]["count"] == sum(each["versions"] for each in channels.values())
    assert found["channel_values"]["bytes"] == sum(each["bytes"] for each in channels.values())


@pytest.mark.postgresql
async def test_the_values_of_each_channel_are_measured(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    found = (await http.get(f"/threads/{await ran(sdk)}/storage")).json()
    log = found["channel_values"]["by_channel"]["log"]
    assert log["versions"] == 11
    assert log["bytes"] > 100


# --- deletion


async def test_a_deleted_thread_is_gone_with_all_that_it_had(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread, other = await ran(sdk), await ran(sdk)
    await sdk.threads.update_state(thread, {"log": ["x"]}, as_node="s1")
    await sdk.threads.delete(thread)
    assert await in_database(traces, UUID(thread)) == {}
    for path in ("", "/state", "/history", "/runs", "/storage", "/stream"):
        assert (await http.get(f"/threads/{thread}{path}")).status_code == 404
    with pytest.raises(NotFoundError, match=f"Thread with ID {thread} not found"):
        await sdk.threads.delete(thread)
    assert (await sdk.threads.get_state(other))["values"] == {"log": STEPS}
    again = await sdk.threads.create(thread_id=thread)
    assert again["values"] is None


async def test_a_thread_is_deleted_although_runs_are_in_flight(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = await new_thread(http)
    runs = [(await http.post(f"/threads/{thread}/runs", json=sleep(30))).json()["run_id"] for _ in range(2)]
    await until(http, f"/threads/{thread}/runs/{runs[0]}", "running")
    async with asyncio.timeout(20), http.stream("GET", f"/threads/{thread}/stream") as streaming:
        chunks = streaming.aiter_raw()
        assert await anext(chunks)
        joining = asyncio.create_task(http.get(f"/threads/{thread}/runs/{runs[0]}/join"))
        await sdk.threads.delete(thread)
        async for _ in chunks:
            pass
        assert (await joining).status_code == 200
    assert await in_database(traces, UUID(thread)) == {}
    assert await sdk.runs.wait(None, "steps", input={"log": []}) == {"log": STEPS}


async def test_threads_are_pruned_by_their_ids(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    threads = [await ran(sdk) for _ in range(2)]
    ids = [*threads, threads[0], str(uuid4())]
    assert await sdk.threads.prune(ids, strategy="keep_latest") == {"pruned_count": 2}
    for thread in threads:
        [state] = await sdk.threads.get_history(thread, limit=100)
        assert state["values"] == {"log": STEPS}
    assert await sdk.runs.wait(threads[0], "steps", input={"log": []}) == {"log": [*STEPS, *STEPS]}
    assert await sdk.threads.prune(ids) == {"pruned_count": 2}
    assert await sdk.threads.count() == 0
    assert await sdk.threads.prune([]) == {"pruned_count": 0}
    for body in (
        {},
        {"thread_ids": ["x"]},
        {"thread_ids": [], "strategy": "bogus"},
        {"thread_ids": ids * 300},
    ):
        assert (await http.post("/threads/prune", json=body)).status_code == 422


async def test_what_a_request_has_no_time_to_shorten_is_left_to_the_sweep(
    http: httpx.AsyncClient, sdk: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except a thread that is going to be deleted: the sweep would keep it. It is not counted."""
    monkeypatch.setattr(thread_deletion, "PATIENCE", 0.0)
    late, going, busy = await ran(sdk), await ran(sdk), await new_thread(http)
    await http.post(f"/threads/{busy}/runs", json=sleep(30))
    assert (await http.patch(f"/threads/{going}", json={"ttl": 600})).status_code == 200
    before = (await http.get(f"/threads/{going}?include=ttl")).json()["ttl"]
    assert await sdk.threads.prune([late, going, busy], strategy="keep_latest") == {"pruned_count": 1}
    assert len(await sdk.threads.get_history(late, limit=100)) == 12
    assert (await in_database(report_of, Policy())).threads_trimmed == 1
    [state] = await sdk.threads.get_history(late, limit=100)
    assert state["values"] == {"log": STEPS}
    assert (await http.get(f"/threads/{late}?include=ttl")).json()["ttl"] is None
    assert (await http.get(f"/threads/{going}?include=ttl")).json()["ttl"] == before
    assert len(await sdk.threads.get_history(going, limit=100)) == 12


async def test_what_a_request_has_no_time_to_delete_is_hidden(
    sdk: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_deletion, "PATIENCE", 0.0)
    thread = await ran(sdk)
    assert await sdk.threads.prune([thread]) == {"pruned_count": 1}
    with pytest.raises(NotFoundError):
        await sdk.threads.get(thread)
    monkeypatch.setattr(deletion, "DISCARD_AFTER", 0.0)
    await in_database(report_of, Policy())
    assert await in_database(traces, UUID(thread)) == {}


async def test_pruning_leaves_threads_that_are_busy_or_somebody_elses(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread, busy = await ran(sdk), await new_thread(http)
    run = (await http.post(f"/threads/{busy}/runs", json=sleep(30))).json()["run_id"]
    body = {"thread_ids": [thread, busy]}
    for strategy in ("delete", "keep_latest"):
        answer = await stranger.post("/threads/prune", json={**body, "strategy": strategy})
        assert answer.json() == {"pruned_count": 0}
    assert await sdk.threads.prune([busy], strategy="keep_latest") == {"pruned_count": 0}
    assert len(await sdk.threads.get_history(thread, limit=100)) == 12
    assert (await sdk.runs.get(busy, run))["status"] in ("pending", "running")
