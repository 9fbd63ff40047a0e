"""The runtime that factories are given is the SDK's own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph_sdk.runtime import ServerRuntime
from pydantic import BaseModel, ValidationError

from runs.graphs.loading import Factory
from runs.graphs.runtimes import execution_runtime, introspection_runtime, read_runtime
from runs.identity.auth_file.users import AuthUser


def test_a_factory_can_tell_an_execution_from_a_read() -> None:
    executing: ServerRuntime = execution_runtime({"tenant": "a"})
    reading: ServerRuntime = read_runtime()
    assert executing.access_context == "threads.create_run"
    assert executing.execution_runtime is not None
    assert executing.execution_runtime.context == {"tenant": "a"}
    assert reading.access_context == "threads.read"
    assert reading.execution_runtime is None


async def test_a_factory_may_look_at_the_store_whatever_its_graph_is_opened_for() -> None:
    for runtime in (read_runtime(), read_runtime("threads.update"), introspection_runtime()):
        assert await runtime.store.asearch(("memories",)) == []


def test_a_factory_knows_the_user_of_a_site_with_an_auth_file() -> None:
    user = AuthUser({"identity": "ada"})
    assert execution_runtime({}, user=user).ensure_user().identity == "ada"
    with pytest.raises(PermissionError):
        execution_runtime({}).ensure_user()


class State(TypedDict):
    text: str


@dataclass
class Tenant:
    name: str = "nobody"


class Region(BaseModel):
    name: str


async def entered(factory: Any, context: Any) -> Any:
    """What a factory finds as the context of a run."""
    seen: list[Any] = []

    def make(runtime: Any) -> Any:
        seen.append(runtime.execution_runtime.context if runtime.execution_runtime else None)
        builder = StateGraph(State)
        builder.add_node("only", lambda state: state)
        builder.add_edge(START, "only")
        return builder.compile()

    make.__annotations__ = {"runtime": factory}
    async with AsyncExitStack() as stack:
        await Factory.of(make).enter(stack, {}, execution_runtime(context))
        await Factory.of(make).enter(stack, {}, read_runtime())
    assert seen[1] is None
    return seen[0]


async def test_a_factory_gets_the_context_in_the_class_that_it_declares() -> None:
    assert await entered(ServerRuntime[Tenant], {"name": "ada", "other": 1}) == Tenant("ada")
    assert await entered(ServerRuntime[Tenant], None) == Tenant()
    assert await entered(ServerRuntime[Region], {"name": "north"}) == Region(name="north")
    assert await entered(ServerRuntime[dict], {"name": "x"}) == {"name": "x"}
    assert await entered(ServerRuntime, {"name": "x"}) == {"name": "x"}
    with pytest.raises(ValidationError):
        await entered(ServerRuntime[Region], {})
