"""The runtime that factories are given is the SDK's own."""

from __future__ import annotations

from langgraph_sdk.runtime import ServerRuntime

from runs.graphs.runtimes import execution_runtime, read_runtime


def test_a_factory_can_tell_an_execution_from_a_read() -> None:
    executing: ServerRuntime = execution_runtime({"tenant": "a"})
    reading: ServerRuntime = read_runtime()
    assert executing.access_context == "threads.create_run"
    assert executing.execution_runtime is not None
    assert executing.execution_runtime.context == {"tenant": "a"}
    assert reading.access_context == "threads.read"
    assert reading.execution_runtime is None
