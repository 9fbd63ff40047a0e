"""A graph's view of `context` and `config.configurable`, two names of the same values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

import httpx
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from runs.graphs.contexts import fitting


@dataclass
class Strict:
    tone: str = "plain"
    seen: int = field(default=0, init=False)


class Seen(TypedDict, total=False):
    tone: str
    configured: dict[str, Any]


def look(state: Seen, config: RunnableConfig, runtime: Runtime[Strict]) -> Seen:
    mine = {
        name: config["configurable"][name] for name in ("tone", "other") if name in config["configurable"]
    }
    return {"tone": runtime.context.tone if runtime.context else "", "configured": mine}


builder = StateGraph(Seen, context_schema=Strict)
builder.add_node("look", look)
builder.add_edge(START, "look")
strict = builder.compile()


@pytest.fixture(autouse=True)
def strict_graph(run_settings: Any) -> None:
    run_settings(GRAPHS={"strict": f"{__name__}:strict"})


async def seen(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answered = await http.post("/runs/wait", json={"assistant_id": "strict", "input": {}, **body})
    found: dict[str, Any] = answered.json()
    return found


async def test_a_graph_sees_what_was_given_under_both_names(http: httpx.AsyncClient) -> None:
    dry = {"tone": "dry", "configured": {"tone": "dry"}}
    assert await seen(http, context={"tone": "dry"}) == dry
    assert await seen(http, config={"configurable": {"tone": "dry"}}) == dry
    assert await seen(http) == {"tone": "plain", "configured": {}}


async def test_what_the_graphs_context_has_no_place_for_is_configured_only(http: httpx.AsyncClient) -> None:
    mixed = {"tone": "dry", "other": 1}
    assert await seen(http, config={"configurable": mixed}) == {"tone": "dry", "configured": mixed}
    other = await seen(http, config={"configurable": {"other": 1, "seen": 2}})
    assert other == {"tone": "plain", "configured": {"other": 1}}


async def test_an_assistants_values_are_there_under_both_names(http: httpx.AsyncClient) -> None:
    body = {"graph_id": "strict", "config": {"configurable": {"tone": "dry", "other": 1}}}
    assistant = (await http.post("/assistants", json=body)).json()["assistant_id"]
    assert await seen(http, assistant_id=assistant, context={"other": 2}) == {
        "tone": "dry",
        "configured": {"tone": "dry", "other": 2},
    }


class Lenient(BaseModel):
    tone: str = ""


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tone: str = ""
    loud: bool = Field(False, alias="volume")


@pydantic_dataclass
class Validated:
    tone: str = ""


class Loose(TypedDict, total=False):
    tone: str


MIXED = {"tone": "dry", "other": 1, "volume": True}


@pytest.mark.parametrize(("schema", "kept"), [
    (None, MIXED), (Loose, MIXED), (Lenient, MIXED), (dict, MIXED),
    (Strict, {"tone": "dry"}), (Validated, {"tone": "dry"}), (Forbidding, {"tone": "dry", "volume": True}),
])  # fmt: skip
def test_only_a_class_that_refuses_names_is_spared_them(schema: Any, kept: dict[str, Any]) -> None:
    assert fitting(MIXED, schema) == kept


def test_a_class_is_made_of_nothing_too_and_what_is_no_class_is_not() -> None:
    """A template's `runtime.context.model` has its default, as on the reference server."""
    for given in (None, {}, {"other": 1}):
        assert fitting(given, Strict) == {}
    assert [fitting(None, each) for each in (Lenient, Forbidding, Validated)] == [{}, {}, {}]
    assert [fitting({}, each) for each in (None, Loose, dict)] == [None, None, None]
