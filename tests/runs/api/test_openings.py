"""Graphs made from configuration or user: opened like in the thread's newest run."""

from __future__ import annotations

import json
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from langgraph_sdk import Auth, get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.runtime import ServerRuntime

from runs.lifecycle.new_run import kept_config
from runs.models import Run
from runs.states import refresh
from tests.support.serving import served
from threads.db.database import in_database, threads
from threads.models import Thread

HERE = "tests.runs.api.test_openings"


auth = Auth()


@auth.authenticate
async def who(authorization: str | None) -> dict[str, str]:
    return {"identity": (authorization or "").removeprefix("Bearer ")}


class Seen(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    only_b: str


async def ask(state: Seen) -> dict[str, Any]:
    return {"log": [interrupt("well?")]}


async def step(state: Seen) -> dict[str, Any]:
    return {"only_b": "B", "log": ["b"]}


def strict(config: RunnableConfig) -> Any:
    """A graph for each kind, of which there is no default."""
    kind = config["configurable"]["kind"]
    builder = StateGraph(Seen)
    builder.add_node("step", step)
    builder.add_node(f"ask_{kind}", ask)
    builder.add_edge(START, "step")
    builder.add_edge("step", f"ask_{kind}")
    return builder.compile()


def of_user(runtime: ServerRuntime) -> Any:
    builder = StateGraph(Seen)
    builder.add_node(f"ask_{runtime.ensure_user().identity}", ask)
    builder.add_edge(START, f"ask_{runtime.ensure_user().identity}")
    return builder.compile()


@pytest.fixture(autouse=True)
def factories(run_settings: Any) -> None:
    run_settings(GRAPHS={"strict": f"{HERE}:strict", "of_user": f"{HERE}:of_user"})


async def assert_is_open(sdk: LangGraphClient, thread: str, node: str) -> None:
    """The thread's state can be read and edited in each way."""
    state: Any = await sdk.threads.get_state(thread)
    assert (state["next"], len(state["interrupts"])) == ([node], 1)
    assert (await sdk.threads.get_history(thread, limit=1))[0]["next"] == [node]
    at: Any = await sdk.threads.get_state(thread, checkpoint_id=state["checkpoint_id"])
    assert at["next"] == [node]
    copied: Any = await sdk.threads.get_state((await sdk.threads.copy(thread))["thread_id"])
    assert copied["next"] == [node]
    await sdk.threads.update_state(thread, {"log": ["edited"]}, as_node=node)
    edited: Any = await sdk.threads.get_state(thread)
    assert edited["values"]["log"][-1] == "edited"


CONFIG: Any = {"configurable": {"kind": "b"}}


async def test_a_thread_is_opened_with_the_configuration_of_its_run(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.wait(thread, "strict", input={"log": []}, config=CONFIG)
    assert (await sdk.threads.get(thread))["config"] == CONFIG  # type: ignore[typeddict-item]
    await assert_is_open(sdk, thread, "ask_b")


async def test_a_thread_is_opened_with_the_configuration_of_its_assistant(sdk: LangGraphClient) -> None:
    assistant = await sdk.assistants.create("strict", config=CONFIG)
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.wait(thread, assistant["assistant_id"], input={"log": []})
    await assert_is_open(sdk, thread, "ask_b")
    drawing = await sdk.assistants.get_graph(assistant["assistant_id"])
    assert "ask_b" in {node["id"] for node in drawing["nodes"]}


@pytest.mark.parametrize("of_assistant", [True, False])
async def test_a_thread_whose_runs_are_gone_is_opened_with_what_the_next_would_have(
    sdk: LangGraphClient, of_assistant: bool
) -> None:
    name = "strict"
    if of_assistant:
        name = (await sdk.assistants.create("strict", config=CONFIG))["assistant_id"]
    thread = (await sdk.threads.create())["thread_id"]
    given = {} if of_assistant else {"config": CONFIG}
    await sdk.runs.wait(thread, name, input={"log": []}, **given)
    await in_database(Run.objects.all().delete)
    await assert_is_open(sdk, thread, "ask_b")


async def test_the_newest_run_counts_and_what_it_was_not_told_stays(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.wait(thread, "strict", input={"log": []}, config=CONFIG)
    other: Any = {"configurable": {"kind": "c", "openai_api_key": "canary"}, "recursion_limit": 30}
    await sdk.runs.wait(thread, "strict", input={"log": []}, config=other)
    # Its answer does not name the kind, and its graph is the same.
    await sdk.runs.wait(thread, "strict", command={"resume": "yes"})
    shown = await sdk.threads.get(thread)
    assert shown["values"]["log"][-1] == "yes"  # type: ignore[call-overload, index]
    assert shown["config"] == {  # type: ignore[typeddict-item]
        "configurable": {"kind": "c", "openai_api_key": "***"},
        "recursion_limit": 30,
    }
    state: Any = await sdk.threads.get_state(thread)
    assert "canary" not in str(state)


async def test_values_are_read_again_through_the_same_graph(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    run = await sdk.runs.create(thread, "strict", input={"log": []}, config=CONFIG)
    await sdk.runs.join(thread, run["run_id"])
    row = await in_database(Thread.objects.get, id=thread)
    await in_database(Thread.objects.filter(id=thread).update, stale_since=row.updated_at, values={})
    await refresh.refresh_state(row.id)
    assert (await sdk.threads.get(thread))["values"]["only_b"] == "B"  # type: ignore[call-overload, index]


def test_what_is_kept_is_bounded() -> None:
    before = {"configurable": {"a": "x" * 50}, "tags": ["t"]}
    given = {"configurable": {"b": "y"}}
    assert kept_config(before, given, most=0) == {
        "configurable": {"a": "x" * 50, "b": "y"},
        "tags": ["t"],
    }
    assert kept_config(before, given, most=60) == given
    assert kept_config({}, {}, most=60) == {}


async def test_a_graph_of_a_user_is_opened_as_of_who_asked_for_the_run(
    transactional_db: None, run_settings: Any, tmp_path: Path
) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"graphs": {}, "auth": {"path": f"{HERE}:auth"}}))
    run_settings(DRAIN_SECONDS=1.0, LANGGRAPH_JSON=str(file))
    async with served() as url, get_client(url=url, headers={"Authorization": "Bearer ada"}) as sdk:
        thread = (await sdk.threads.create())["thread_id"]
        await sdk.runs.wait(thread, "of_user", input={"log": []})
        await assert_is_open(sdk, thread, "ask_ada")
        drawing = await sdk.assistants.get_graph("of_user")
        assert "ask_ada" in {node["id"] for node in drawing["nodes"]}
        [assistant] = await sdk.assistants.search(graph_id="of_user")
        assert (await sdk.assistants.get_schemas(assistant["assistant_id"]))["state_schema"]
        assert await sdk.assistants.get_subgraphs(assistant["assistant_id"]) == {}
    threads.close()


async def test_a_factory_without_a_user_is_refused_one(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    """A site without an Auth file has no user to pass."""
    thread = (await sdk.threads.create())["thread_id"]
    values: Any = await sdk.runs.wait(thread, "of_user", input={"log": []}, raise_error=False)
    assert "__error__" in values
