"""A client's changes to an assistant, sanitised and applied. Pure: no Django, no database.

A patch replaces the named fields, and merges metadata. If it replaces `config` by one without
`configurable`, the assistant's context is kept (langgraph_server_api.md §6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runs.encoding import encode
from runs.exceptions import RequestTooLarge
from runs.requests.run import mirrored, sanitised_config, sanitised_metadata
from threads.redaction import restored

#: The definition of an assistant without any values.
BLANK: dict[str, Any] = {
    "name": "Untitled", "description": None, "config": {}, "context": {}, "metadata": {},
}  # fmt: skip


def changed(said: Mapping[str, Any], given: Mapping[str, Any], *, most: int = 0) -> dict[str, Any]:
    """Return an assistant's definition after a client's changes.

    Args:
        most: Maximum size as JSON, in bytes; 0 for no limit.

    Raises:
        RequestTooLarge: The definition is larger.
        ContradictoryRequest: `config.configurable` and `context` are both set.
        InvalidRequest: A value of the configuration is not allowed.
    """
    plain = {name: given[name] for name in ("graph_id", "name", "description") if name in given}
    config, context = _configuration(said, given)
    metadata = {**said["metadata"], **sanitised_metadata(given.get("metadata", {}))}
    whole = {**said, **plain, "config": config, "context": context, "metadata": metadata}
    if most and len(encode(whole).encode()) > most:
        raise RequestTooLarge(f"An assistant has at most {most} bytes as JSON.")
    return whole


def _configuration(
    said: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    config = dict(said["config"])
    if "config" in given:
        config = sanitised_config(restored(given["config"], said["config"]))
    context = restored(given.get("context"), said["context"])
    if not ("config" in given and config.get("configurable")):
        if context is None:
            return config, said["context"]
        config.pop("configurable", None)
    return mirrored(config, context or {})
