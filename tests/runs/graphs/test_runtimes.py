"""The runtime that factories are given is the SDK's own."""

from __future__ import annotations

import pytest
from langgraph_sdk.runtime import ServerRuntime

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
