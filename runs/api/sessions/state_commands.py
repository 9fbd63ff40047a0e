"""The protocol's commands about a thread's state: read it, list its checkpoints, fork from one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from runs.exceptions import InvalidRequest
from runs.protocols.agent.commands import ProtocolError
from runs.requests.checkpoint import checkpoint_namespace, checkpoint_uuid
from runs.states.reads import readable_by
from threads.api.routes import NAMED
from threads.db.database import in_database
from threads.models import Thread
from threads.models.querysets import Principal
from threads.state.read import read_state, thread_state
from threads.state.snapshots import history

Json = dict[str, Any]
MAX_CHECKPOINTS = 1000


async def get_state(thread_id: UUID, params: Mapping[str, Any], *, principal: Principal) -> Json:
    """`state.get`: the present values of a thread or of a subgraph, optionally only some `keys`."""
    thread = await _thread(thread_id, principal)
    namespace, keys = _namespace(params), params.get("keys")
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise ProtocolError("invalid_argument", "keys must be an array of strings.")
    checkpoint = {"checkpoint_ns": "|".join(namespace)} if namespace else None
    try:
        state = await read_state(thread, open_graph=readable_by(principal), checkpoint=checkpoint)
    except ValueError:
        raise _no_subgraph(namespace) from None
    if namespace and not state["checkpoint_id"]:
        raise _no_subgraph(namespace)
    values = state["values"]
    if keys is not None and isinstance(values, Mapping):
        values = {key: values[key] for key in keys if key in values}
    found: Json = {"values": values}
    if state["checkpoint_id"]:
        found["checkpoint"] = {"id": state["checkpoint_id"]}
        if namespace:
            found["checkpoint"]["ns"] = "|".join(namespace)
    return found


async def list_checkpoints(thread_id: UUID, params: Mapping[str, Any], *, principal: Principal) -> Json:
    """`state.listCheckpoints`: up to `limit` checkpoints `before` another one, newest first."""
    thread = await _thread(thread_id, principal)
    limit, namespace = params.get("limit", 10), _namespace(params)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_CHECKPOINTS:
        raise ProtocolError("invalid_argument", f"limit must be a whole number from 1 to {MAX_CHECKPOINTS}.")
    before = _checkpoint(params["before"]) if params.get("before") is not None else None
    graph_id = thread.metadata.get("graph_id")
    if not graph_id:
        return {"checkpoints": []}
    config: Any = {"configurable": {"thread_id": str(thread.id), "checkpoint_ns": "|".join(namespace)}}
    async with readable_by(principal)(graph_id, config) as graph:
        found = [thread_state(each) async for each in history(graph, config, limit=limit, before=before)]
    if namespace and not found and before is None:
        raise _no_subgraph(namespace)
    return {"checkpoints": [_summary(state) for state in found]}


async def fork(
    thread_id: UUID, params: Mapping[str, Any], *, principal: Principal
) -> tuple[str, Mapping[str, Any]]:
    """`state.fork` as a run to start: its assistant and its parameters. Raises ProtocolError."""
    thread = await _thread(thread_id, principal)
    checkpoint_id = _checkpoint(params.get("checkpoint_id"))
    await _require(thread, checkpoint_id, principal)
    assistant_id = thread.metadata.get("assistant_id") or thread.metadata["graph_id"]
    config = params.get("config") or {}
    configurable = (config.get("configurable") or {}) if isinstance(config, Mapping) else None
    if not isinstance(configurable, Mapping):
        raise ProtocolError("invalid_argument", "config and config.configurable must be objects.")
    config = {**config, "configurable": {**configurable, "checkpoint_id": checkpoint_id}}
    return str(assistant_id), {**params, "config": config}


async def require_checkpoint(thread_id: UUID, value: object, *, principal: Principal) -> None:
    """Raise ProtocolError if the thread has no such checkpoint: a run would start with no state."""
    checkpoint_id = _checkpoint(value)
    await _require(await _thread(thread_id, principal), checkpoint_id, principal)


async def _require(thread: Thread, checkpoint_id: str, principal: Principal) -> None:
    state = await read_state(
        thread, open_graph=readable_by(principal), checkpoint={"checkpoint_id": checkpoint_id}
    )
    if not thread.metadata.get("graph_id") or state["created_at"] is None:
        raise ProtocolError("no_such_checkpoint", f"This thread has no checkpoint {checkpoint_id}.")


def _no_subgraph(namespace: list[str]) -> ProtocolError:
    return ProtocolError("no_such_namespace", f"No subgraph at {'|'.join(namespace)[:200]}.")


async def _thread(thread_id: UUID, principal: Principal) -> Thread:
    thread = await in_database(_found, thread_id, principal)
    if thread is None:
        raise ProtocolError("unknown_error", f"404: Thread with ID {thread_id} not found")
    return thread


def _found(thread_id: UUID, principal: Principal) -> Thread | None:
    return Thread.objects.for_principal(principal).visible().only(*NAMED).filter(id=thread_id).first()


def _namespace(params: Mapping[str, Any]) -> list[str]:
    namespace = params.get("namespace") or []
    if not isinstance(namespace, list) or not all(isinstance(each, str) for each in namespace):
        raise ProtocolError("invalid_argument", "namespace must be an array of strings.")
    try:
        checkpoint_namespace("|".join(namespace))
    except InvalidRequest as error:
        raise ProtocolError("invalid_argument", str(error)) from None
    return namespace


def _checkpoint(value: object) -> str:
    try:
        return checkpoint_uuid(value)
    except InvalidRequest as error:
        raise ProtocolError("invalid_argument", str(error)) from None


def _summary(state: Mapping[str, Any]) -> Json:
    metadata = dict(state["metadata"] or {})
    return {
        "id": state["checkpoint_id"],
        "timestamp": state["created_at"],
        "step": metadata.get("step", 0),
        "metadata": metadata,
    }
