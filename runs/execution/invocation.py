"""The configuration that a graph is invoked with, and the parts of a request that the graph
accepts.

Pure: no Django, no database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from runs.identity.auth_file.users import AuthUser

#: LangGraph's names of the client's stream modes, where they differ.
LANGGRAPH_MODES = {"messages-tuple": "messages"}
#: Keys of a client's configuration that are passed on, and those that name a checkpoint.
PASSED_ON = ("tags", "recursion_limit", "max_concurrency")
FORK = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")


def has_begun(checkpoint_metadata: Mapping[str, Any] | None, run_id: str) -> bool:
    """Whether the thread's latest root checkpoint is this run's."""
    return (checkpoint_metadata or {}).get("run_id") == run_id


def goes_on(kwargs: Mapping[str, Any]) -> bool:
    """Whether a run continues its thread from its present state: without input, or by a command
    that names no other place.
    """
    command = kwargs.get("command")
    return kwargs.get("input") is None if command is None else not command.get("goto")


def towards(nodes: Collection[str], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """A run's request without the `goto` targets that its graph does not have.

    LangGraph skips such targets, including the end, which chat pages send to dismiss an interrupt.
    But it stores them with the checkpoint, where they look like nodes that newer code has removed,
    and the interrupt could no longer be answered.
    """
    command = kwargs.get("command") or {}
    goto = command.get("goto") or ()
    wanted = goto if isinstance(goto, list) else [goto] if goto else []
    known = [each for each in wanted if (each["node"] if isinstance(each, Mapping) else each) in nodes]
    return kwargs if len(known) == len(wanted) else {**kwargs, "command": {**command, "goto": known}}


def langgraph_modes(requested: Iterable[str]) -> set[str]:
    """LangGraph's names of the stream modes that the client requested."""
    return {LANGGRAPH_MODES.get(mode, mode) for mode in requested} - {"events"}


def graph_config(
    kwargs: Mapping[str, Any],
    *,
    run_id: str,
    thread_id: str,
    assistant_id: str,
    graph_id: str,
    user_id: str,
    auth_user: AuthUser,
    attempt: int,
    metadata: Mapping[str, Any],
    begun: bool,
) -> dict[str, Any]:
    """The configuration of an invocation. The server's own keys are set after the client's, never before."""
    given = kwargs.get("config") or {}
    configurable = {
        **(given.get("configurable") or {}),
        "run_id": run_id,
        "thread_id": thread_id,
        "assistant_id": assistant_id,
        "graph_id": graph_id,
        # LangGraph does not treat an object as metadata, so the user's details stay out of checkpoints.
        "langgraph_auth_user": auth_user,
        "langgraph_auth_user_id": auth_user.identity,
        "langgraph_auth_permissions": auth_user.permissions,
    }
    if configurable.get("user_id") is None:
        # A client may set its own `user_id`, because one key may serve many users. The keys above are set by
        # the server alone.
        configurable["user_id"] = auth_user.identity
    configurable |= _fork(kwargs, begun=begun)
    config: dict[str, Any] = {
        "configurable": configurable,
        "metadata": {
            **metadata,
            "run_id": run_id,
            "thread_id": thread_id,
            "assistant_id": assistant_id,
            "graph_id": graph_id,
            "user_id": user_id,
            "run_attempt": attempt,
        },
    }
    return config | {key: given[key] for key in PASSED_ON if given.get(key) is not None}


def _fork(kwargs: Mapping[str, Any], *, begun: bool) -> dict[str, Any]:
    """The checkpoint at which the run's first attempt begins, if the client named one.

    Later attempts continue from the thread's newest checkpoint, which the fork has made.
    """
    checkpoint = kwargs.get("checkpoint") or {}
    return {} if begun else {key: checkpoint[key] for key in FORK if checkpoint.get(key) is not None}
