"""What a factory `(config, runtime)` is given: LangGraph's own type for it, so that its annotations hold.

The SDK has no public constructor for it; a test holds on to the private ones.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph_sdk.runtime import _ExecutionRuntime, _ReadRuntime


def execution_runtime(context: Any, store: Any = None, user: Any = None) -> Any:
    """The runtime of a graph that is about to be executed.

    Args:
        user: Who asks, if the site has an Auth file.
    """
    return _ExecutionRuntime(access_context="threads.create_run", user=user, store=store, context=context)


def introspection_runtime(user: Any = None) -> Any:
    """The runtime of a graph that is only looked at: its shape, its schemas, its subgraphs. Its store is empty.

    Args:
        user: Who asks, if the site has an Auth file.
    """
    return _ReadRuntime(access_context="assistants.read", user=user, store=InMemoryStore())


def read_runtime(
    access: Literal["threads.read", "threads.update"] = "threads.read",
    store: BaseStore | None = None,
    user: Any = None,
) -> Any:
    """The runtime of a graph that only reads a thread's state, or edits it: no place to open costly resources.

    Args:
        store: That of the thread's user; an empty one if nobody's thread is read.
        user: Who asks, if the site has an Auth file.
    """
    return _ReadRuntime(access_context=access, user=user, store=store or InMemoryStore())
