"""A client's secrets in a run reach only its graph. The server's own keys cannot be forged."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any, TypedDict
from uuid import UUID, uuid4

import httpx
import pytest
from django.db import connection
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from runs.models import Assistant, Cron, Run, RunEvent
from tests.support.driving import Driver
from tests.support.graphs import Log
from tests.support.rows import make_thread
from threads.db.database import in_database
from threads.models import Thread
from threads.redaction import HIDDEN, redacted, redacted_text

pytestmark = pytest.mark.django_db(transaction=True)

ALL_MODES = ["values", "updates", "messages-tuple", "tasks", "checkpoints", "debug", "events", "custom"]
CANARY = "canary-2f6d"
SECRETS: dict[str, Any] = {"openai_api_key": CANARY, "plain": CANARY, "nested": {"token": CANARY}}

seen: list[Any] = []


def look(state: Log, config: RunnableConfig, runtime: Runtime[Any]) -> dict[str, Any]:
    seen.append({**config["configurable"], "metadata": dict(config["metadata"]), "context": runtime.context})
    return {"log": ["looked"]}


class Context(TypedDict, total=False):
    nested: dict[str, str]


builder = StateGraph(Log, context_schema=Context)
builder.add_node("look", look)
builder.add_edge(START, "look")
builder.add_edge("look", END)
looking = builder.compile()


def fail(state: Log, config: RunnableConfig) -> None:
    key = config["configurable"]["openai_api_key"]
    raise ValueError(f"Incorrect API key provided: {key}. Asked with { ({'openai_api_key': CANARY}) }.")


failing_loudly = StateGraph(Log).add_node("fail", fail).add_edge(START, "fail").compile()


@pytest.fixture(autouse=True)
def looking_graph(run_settings: Any) -> None:
    seen.clear()
    run_settings(
        GRAPHS={
            "looking": "tests.runs.api.test_secrets:looking",
            "failing_loudly": "tests.runs.api.test_secrets:failing_loudly",
            "nested": "tests.support.graphs:nested",
        }
    )


def checkpoint_rows(folder: Path) -> list[str]:
    """All rows of LangGraph's tables."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            rows: list[Any] = []
            for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
                cursor.execute(f"SELECT t::text FROM {table} t")
                rows += cursor.fetchall()
            return [str(row) for row in rows]
    with sqlite3.connect(folder / "checkpoints.sqlite3") as file:
        tables = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = [str(row) for (table,) in tables for row in file.execute(f"SELECT * FROM {table}")]
    file.close()
    return found


@pytest.mark.parametrize("graph", ["looking", "nested"])
@pytest.mark.parametrize("place", [{"config": {"configurable": SECRETS}}, {"context": SECRETS}])
async def test_secrets_reach_no_checkpoint_no_event_and_no_log(
    driver: Driver, graph: str, place: dict[str, Any], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    run = await driver.start(graph, **place, stream_modes=ALL_MODES)
    events = await driver.events(run)
    assert (await driver.row(run)).status == "success"
    assert {event.name.partition("|")[0] for event in events} >= {"values", "checkpoints", "debug", "events"}
    assert not [event for event in events if CANARY in event.data]
    assert not await in_database(list, RunEvent.objects.filter(data__contains=CANARY))
    rows = await in_database(checkpoint_rows, tmp_path)
    assert rows
    assert not [row for row in rows if CANARY in row]
    assert CANARY not in caplog.text
    if graph == "looking":
        assert CANARY in str(seen)


async def test_secrets_are_hidden_in_responses(http: httpx.AsyncClient, run_settings: Any) -> None:
    secrets = {"openai_api_key": CANARY, "nested": {"token": CANARY}, "max_tokens": 5}
    body = {"assistant_id": "looking", "input": {"log": []}, "config": {"configurable": secrets}}
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    created = await http.post(f"/threads/{thread}/runs", json=body)
    run_id = created.json()["run_id"]
    shown = created.json()["kwargs"]["config"]["configurable"]
    assert shown.items() >= {"openai_api_key": HIDDEN, "nested": {"token": HIDDEN}, "max_tokens": 5}.items()
    await http.get(f"/threads/{thread}/runs/{run_id}/join")
    for path in ("", "/state", "/runs", f"/runs/{run_id}", f"/runs/{run_id}/join"):
        response = await http.get(f"/threads/{thread}{path}")
        assert response.status_code == 200
        assert CANARY not in response.text
    kept = await http.post("/runs/wait", json={**body, "on_completion": "keep"})
    made = kept.headers["Location"].split("/")[2]
    assert CANARY not in (await http.get(f"/threads/{made}")).text


async def test_a_search_takes_no_secret_out_of_what_it_finds(http: httpx.AsyncClient) -> None:
    secrets = {"openai_api_key": CANARY, "nested": {"token": CANARY}, "max_tokens": 5}
    body = {"assistant_id": "looking", "input": {"log": []}, "config": {"configurable": secrets}}
    await http.post("/runs/wait", json={**body, "on_completion": "keep"})
    paths = {name: f"config.configurable.{name}" for name in ("openai_api_key", "nested.token", "max_tokens")}
    [found] = (await http.post("/threads/search", json={"extract": paths})).json()
    assert found["extracted"] == {"openai_api_key": HIDDEN, "nested.token": HIDDEN, "max_tokens": 5}


async def test_an_error_tells_no_secret(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    secrets = {"openai_api_key": f"sk-{CANARY}"}
    body = {"assistant_id": "failing_loudly", "input": {"log": []}, "config": {"configurable": secrets}}
    answers = [await http.post(f"/threads/{thread}/runs/wait", json=body)]
    answers += [await http.get(f"/threads/{thread}{path}") for path in ("", "/state", "/history", "/runs")]
    answers += [
        await http.post(f"/threads/{thread}/runs/stream", json={**body, "stream_mode": ["debug", "tasks"]})
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert CANARY not in answer.text, answer.url
    assert "Incorrect API key provided: ***" in answers[0].text
    assert not await in_database(list, RunEvent.objects.filter(data__contains=CANARY))
    assert CANARY not in str(await in_database(list, Run.objects.values_list("error", flat=True)))


@pytest.mark.parametrize("place", ["config", "context"])
async def test_an_assistants_secrets_are_hidden_and_stay_what_they_are(
    http: httpx.AsyncClient, place: str
) -> None:
    """A client edits what it has read and sends it back, like Studio."""
    secrets = {
        "openai_api_key": CANARY,
        "nested": {"token": CANARY},
        "list": [{"password": CANARY}],
        "max": 5,
    }
    given: dict[str, Any] = (
        {"config": {"configurable": secrets}} if place == "config" else {"context": secrets}
    )
    made = await http.post("/assistants", json={"graph_id": "looking", **given})
    path = f"/assistants/{made.json()['assistant_id']}"
    shown = made.json()
    values = shown["config"]["configurable"] if place == "config" else shown["context"]
    values |= {"max": 6, "other_api_key": HIDDEN}
    changed = await http.patch(path, json={place: shown[place]})
    run = {
        "assistant_id": shown["assistant_id"],
        "input": {"log": []},
        place: shown[place],
        "on_completion": "keep",
    }
    asked = [made, changed, await http.get(path), await http.post(f"{path}/versions", json={})]
    asked += [await http.post("/assistants/search", json={}), await http.post("/runs/wait", json=run)]
    asked += [
        await http.post(f"{path}/latest", json={"version": 1}),
        await http.post("/threads/search", json={}),
    ]
    for answer in asked:
        assert answer.status_code == 200
        assert CANARY not in answer.text
    [config] = seen
    reached = config if place == "config" else config["context"]
    assert reached.items() >= {**secrets, "max": 6}.items()
    assert "other_api_key" not in reached
    changed_row = await in_database(
        lambda: Assistant.objects.get(id=shown["assistant_id"]).versions.get(version=2)
    )
    assert changed_row.context == changed_row.config["configurable"] == {**secrets, "max": 6}


async def test_a_crons_secrets_stay_what_they_are(http: httpx.AsyncClient) -> None:
    config = {"configurable": {"openai_api_key": CANARY, "max": 5}}
    made = await http.post("/runs/crons", json={
        "assistant_id": "looking", "schedule": "0 0 1 1 *", "input": {"log": []}, "config": config,
    })  # fmt: skip
    shown = made.json()["payload"]["config"]
    assert shown["configurable"].items() >= {"openai_api_key": HIDDEN, "max": 5}.items()
    shown["configurable"]["max"] = 6
    changed = await http.patch(f"/runs/crons/{made.json()['cron_id']}", json={"config": shown})
    assert CANARY not in changed.text
    cron = await in_database(Cron.objects.get)
    assert cron.payload["config"]["configurable"].items() >= {"openai_api_key": CANARY, "max": 6}.items()


async def test_the_servers_own_keys_cannot_be_forged(http: httpx.AsyncClient) -> None:
    """The probe that moved execution to another thread (durability §3.1), and similar ones."""
    victim = await in_database(make_thread, metadata={"graph_id": "looking"})
    forged = {
        "thread_id": str(victim.id), "checkpoint_ns": "x", "run_id": str(uuid4()), "graph_id": "nested",
        "langgraph_auth_user_id": "root", "langgraph_auth_user": {"identity": "root"},
        "langgraph_auth_permissions": ["all"], "__pregel_checkpointer": None, "assistant_id": str(uuid4()),
    }  # fmt: skip
    own = (await http.post("/threads", json={"metadata": {"run_id": "x", "user_id": "1"}})).json()[
        "thread_id"
    ]
    body = {
        "assistant_id": "looking", "input": {"log": []}, "metadata": {**forged, "mine": 1},
        "config": {"configurable": forged, "metadata": forged, "callbacks": ["x"], "run_id": str(uuid4())},
        "checkpoint": {"thread_id": str(victim.id)}, "user_id": 1, "thread_id": str(victim.id), "run_id": str(uuid4()),
    }  # fmt: skip
    created = (await http.post(f"/threads/{own}/runs", json=body)).json()
    await http.get(f"/threads/{own}/runs/{created['run_id']}/join")
    run = await in_database(Run.objects.get, id=created["run_id"])
    assert run.thread_id == UUID(own)
    [config] = seen
    mine = str(run.user_id)
    assert config["thread_id"] == own
    assert config["run_id"] == created["run_id"]
    assert (config["user_id"], config["langgraph_auth_user_id"]) == (mine, mine)
    assert (config["graph_id"], config["langgraph_auth_permissions"]) == ("looking", [])
    assert config["langgraph_auth_user"].identity == mine
    assert config["metadata"]["run_id"] == created["run_id"]
    assert config["metadata"]["thread_id"] == own
    assert config["metadata"]["user_id"] == mine
    assert config["metadata"]["mine"] == 1
    untouched = await in_database(Thread.objects.get, id=victim.id)
    assert (untouched.epoch, untouched.values) == (0, None)


@pytest.mark.parametrize("said, user", [
    ({"config": {"configurable": {"user_id": "alice"}}}, "alice"),
    ({"context": {"user_id": "alice"}}, "alice"),
    ({"config": {"configurable": {"user_id": 0}}}, 0),
    ({"config": {"configurable": {"user_id": None}}}, None),
    ({}, None),
], ids=str)  # fmt: skip
async def test_a_client_says_which_of_its_users_a_run_is_for(
    http: httpx.AsyncClient, said: dict[str, Any], user: Any
) -> None:
    """One key may serve many users with separate memories; other names identify the caller."""
    body = {"assistant_id": "looking", "input": {"log": []}, "on_completion": "keep", **said}
    await http.post("/runs/wait", json=body)
    mine = str((await in_database(Run.objects.get)).user_id)
    [config] = seen
    assert config["user_id"] == (mine if user is None else user)
    assert config["langgraph_auth_user_id"] == config["langgraph_auth_user"].identity == mine
    assert config["metadata"]["user_id"] == mine


async def test_an_assistant_says_which_user_its_runs_are_for(http: httpx.AsyncClient) -> None:
    made = {"graph_id": "looking", "config": {"configurable": {"user_id": "alice"}}}
    assistant = (await http.post("/assistants", json=made)).json()["assistant_id"]
    await http.post("/runs/wait", json={"assistant_id": assistant, "input": {"log": []}})
    assert seen[0]["user_id"] == "alice"


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "OPENAI_API_KEY",
        "openaiApiKey",
        "access_token",
        "x-secret",
        "password",
        "x-api-key",
        "private-key",
        "aws_secret_access_key",
        "secretKey",
    ],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert redacted({"a": [{name: CANARY}]}) == {"a": [{name: HIDDEN}]}


@pytest.mark.parametrize(
    "name", ["max_tokens", "token_count", "key", "monkey", "secretary", "tokenizer", "model"]
)
def test_other_names_are_none(name: str) -> None:
    assert redacted({name: CANARY}) == {name: CANARY}


@pytest.mark.parametrize("text", [
    "openai_api_key=canary-2f6d", '{"token": "canary-2f6d"}', "Authorization: Bearer canary-2f6d",
    "password='canary-2f6d'", "X-Api-Key: canary-2f6d", "{'x-api-key': 'canary-2f6d'}", "got dfk_canary-2f6d here",
    r"ValueError('{\'api_key\': \'canary-2f6d\'}')", "provided: sk-canary-2f6d.", r'{\"token\": \"canary-2f6d\"}',
])  # fmt: skip
def test_a_log_line_hides_secrets(text: str) -> None:
    assert CANARY not in redacted_text(text)
    assert HIDDEN in redacted_text(text)


def test_a_log_line_keeps_the_rest() -> None:
    text = "Run 01a20f16: POST '/threads' failed: max_tokens: 12, the keys are a, b."
    assert redacted_text(text) == text
