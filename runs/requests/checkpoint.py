"""A client's address of a checkpoint, checked. Pure: no Django, no database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from runs.exceptions import InvalidRequest

#: Maximum namespaces in the map of an address.
MOST_PLACES = 1000
#: Maximum bytes of a namespace, which is a key of PostgreSQL's indexes. LangGraph's have about 50 for each subgraph.
MAX_NAMESPACE = 2000


def sanitised_checkpoint(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """The checkpoint to continue from; None for the thread's latest one.

    Its `thread_id` is dropped: a run only reads and writes the checkpoints of its own thread.
    """
    kept: dict[str, Any] = {}
    if (checkpoint_id := checkpoint.get("checkpoint_id")) is not None:
        kept["checkpoint_id"] = checkpoint_uuid(checkpoint_id)
    if (namespace := checkpoint.get("checkpoint_ns")) is not None:
        kept["checkpoint_ns"] = checkpoint_namespace(namespace)
    if (mapping := checkpoint.get("checkpoint_map")) is not None:
        if not isinstance(mapping, dict):
            raise InvalidRequest("checkpoint_map must be an object.")
        if len(mapping) > MOST_PLACES:
            raise InvalidRequest(f"checkpoint_map has at most {MOST_PLACES} namespaces.")
        kept["checkpoint_map"] = {
            checkpoint_namespace(name): checkpoint_uuid(each) for name, each in mapping.items()
        }
    return kept if kept.get("checkpoint_id") or kept.get("checkpoint_map") else None


def checkpoint_uuid(value: object) -> str:
    """Return a checkpoint's id. Raises InvalidRequest if the value is not a UUID."""
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else _refuse_checkpoint()
    except ValueError:
        return _refuse_checkpoint()


def checkpoint_namespace(value: object) -> str:
    """Return a namespace. Raises InvalidRequest if the value is no text, or too long."""
    if not isinstance(value, str):
        raise InvalidRequest("checkpoint_ns must be a string.")
    if len(value) > MAX_NAMESPACE or len(value.encode(errors="surrogatepass")) > MAX_NAMESPACE:
        raise InvalidRequest(f"A checkpoint's namespace has at most {MAX_NAMESPACE} bytes.")
    return value


def _refuse_checkpoint() -> str:
    raise InvalidRequest("Invalid checkpoint ID: must be a UUID")
