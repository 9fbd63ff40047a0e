"""The configuration that a graph is invoked with, and what of a run's request its graph can take. Pure: no Django, no database."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from runs.identity.auth_file.users import AuthUser

#: What LangGraph calls the client's stream modes; the others have the same name.
LANGGRAPH_MODES = {"messages-tuple": "messages"}


def has_begun(checkpoint_metadata: Mapping[str, Any] | None, run_id: str) -> bool:
    """Whether the thread's latest root checkpoint is this run's."""
    return (checkpoint_metadata or {}).get("run_id") == run_id


def goes_on(kwargs: Mapping[str, Any]) -> bool:
    """Whether a run takes its thread up where it stands: without input, or by a command that names no other place."""
    command = kwargs.get("command")
    return kwargs.get("input") is None if command is None else not command.get("goto")


def towards(nodes: Collection[str], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run asks for, without the places to go that its graph does not have.

    LangGraph passes over them, the end too, which chat pages send to be done with a question. But it leaves them with the
    checkpoint, where they look like nodes that newer code has lost: the question could not be answered any more.
    """
    command = kwargs.get("command") or {}
    goto = command.get("goto") or ()
    wanted = goto if isinstance(goto, list) else [goto] if goto else []
    known = [each for each in wanted if (each["node"] if isinstance(each, Mapping) else each) in nodes]
    return kwargs if len(known) == len(wanted) else {**kwargs, "command": {**command, "goto": known}}


def fitting(context: Mapping[str, Any] | None, schema: Any) -> dict[str, Any] | None:
    """What of a run's context its graph can be given; None if it has no class for it and nothing was given.

    A class is made also of nothing, with its defaults; one that requires a value fails the run, as on the reference server.
    A context comes from `configurable` too, which may hold anything; a class that refuses names would fail the run for it.
    """
    given = dict(context or {})
    if dataclasses.is_dataclass(schema):
        known = {each.name for each in dataclasses.fields(schema) if each.init}
    elif isinstance(schema, type) and issubclass(schema, BaseModel):
        if not _refuses_others(schema):
            return given
        known = {name for field, each in schema.model_fields.items() for name in (field, each.alias) if name}
    else:
        return given or None
    return {name: value for name, value in given.items() if name in known}


def _refuses_others(schema: type[BaseModel]) -> bool:
    return schema.model_config.get("extra") == "forbid"


def langgraph_modes(requested: Iterable[str]) -> set[str]:
    """What LangGraph calls the modes that the client asked for."""
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
        # An object is no metadata to LangGraph: what the Auth file says about a user stays out of checkpoints.
        "langgraph_auth_user": auth_user,
        "langgraph_auth_user_id": auth_user.identity,
        "langgraph_auth_permissions": auth_user.permissions,
    }
    if configurable.get("user_id") is None:
        # A client's word about its own user is its own: behind one key there may be many. Who asks is the server's to
        # say, by the names above.
        configurable["user_id"] = auth_user.identity
    checkpoint = kwargs.get("checkpoint") or {}
    if not begun:
        # Later attempts go on from the thread's newest checkpoint, which the fork has made.
        for key in ("checkpoint_id", "checkpoint_ns", "checkpoint_map"):
            if checkpoint.get(key) is not None:
                configurable[key] = checkpoint[key]
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
    for key in ("tags", "recursion_limit", "max_concurrency"):
        if given.get(key) is not None:
            config[key] = given[key]
    return config
