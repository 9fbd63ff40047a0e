"""What a factory `(config, runtime)` is given: LangGraph's own type for it, so that its annotations hold.

The SDK has no public constructor for it; a test holds on to the private ones.
"""

from __future__ import annotations

from typing import Any

from langgraph_sdk.runtime import _ExecutionRuntime, _ReadRuntime


def execution_runtime(context: Any, store: Any = None) -> Any:
    """The runtime of a graph that is about to be executed."""
    return _ExecutionRuntime(access_context="threads.create_run", user=None, store=store, context=context)


def read_runtime(store: Any = None) -> Any:
    """The runtime of a graph that only reads a thread's state: no place to open costly resources."""
    return _ReadRuntime(access_context="threads.read", user=None, store=store)
