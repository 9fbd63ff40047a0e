"""What a client says about an assistant, made safe and applied to what it said before. Pure: no Django, no database.

A patch replaces what it names, and merges metadata. It keeps the context of an assistant whose `config` it replaces by
one that has no `configurable` (langgraph_server_api.md §6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runs.requests import mirrored, sanitised_config, sanitised_metadata
from threads.redaction import restored

#: What an assistant says of which nothing is said.
BLANK: dict[str, Any] = {
    "name": "Untitled", "description": None, "config": {}, "context": {}, "metadata": {},
}  # fmt: skip


def changed(said: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an assistant says after a client gave some of it anew.

    Raises:
        ContradictoryRequest: `config.configurable` and `context` both say something.
        InvalidRequest: A value of the configuration is not allowed.
    """
    plain = {name: given[name] for name in ("graph_id", "name", "description") if name in given}
    config, context = _configuration(said, given)
    metadata = {**said["metadata"], **sanitised_metadata(given.get("metadata", {}))}
    return {**said, **plain, "config": config, "context": context, "metadata": metadata}


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
