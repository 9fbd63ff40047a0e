"""The runtime for a factory `(config, runtime)`, in LangGraph's own type, as factories annotate it.

The SDK has no public constructor for it; a test covers the private ones.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph_sdk.runtime import _ExecutionRuntime, _ReadRuntime


def execution_runtime(context: Any, store: Any = None, user: Any = None) -> Any:
    """The runtime of a graph that is about to be executed.

    Args:
        user: The user that makes the request, if the site has an Auth file.
    """
    return _ExecutionRuntime(access_context="threads.create_run", user=user, store=store, context=context)


def introspection_runtime(user: Any = None) -> Any:
    """The runtime of a graph that is only inspected: its shape, schemas and subgraphs. Its store is
    empty.

    Args:
        user: The caller, if the site has an Auth file.
    """
    return _ReadRuntime(access_context="assistants.read", user=user, store=InMemoryStore())


def read_runtime(
    access: Literal["threads.read", "threads.update"] = "threads.read",
    store: BaseStore | None = None,
    user: Any = None,
) -> Any:
    """The runtime of a graph that only reads or edits a thread's state, where factories should open
    no costly resources.

    Args:
        store: The store of the thread's user; an empty one if the thread has no user.
        user: The caller, if the site has an Auth file.
    """
    return _ReadRuntime(access_context=access, user=user, store=store or InMemoryStore())
