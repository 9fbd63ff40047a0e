"""What a client wants to see of a thread: channels, namespaces, and after which event. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runs.exceptions import InvalidRequest
from runs.protocols.agent.events import Namespace, ProtocolEvent

CHANNELS = ("values", "updates", "messages", "tools", "custom", "lifecycle", "input", "tasks", "checkpoints")
#: Those without content: a client hears in them that a run begins, asks or ends.
TURNS = frozenset({"lifecycle", "input"})
MAX_ENTRIES = 1000
MAX_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Filter:
    """The events that a client subscribes to."""

    channels: frozenset[str]
    #: Prefixes; None for all namespaces.
    namespaces: tuple[Namespace, ...] | None = None
    #: How far below a prefix; None for any depth.
    depth: int | None = None
    #: Only events with a greater number.
    since: int = 0

    @property
    def has_content(self) -> bool:
        return not self.channels <= TURNS

    def matches(self, event: ProtocolEvent) -> bool:
        if event.seq <= self.since:
            return False
        channel = event.channel
        if channel not in self.channels and not (channel.startswith("custom:") and "custom" in self.channels):
            return False
        if self.namespaces is None:
            return True
        return any(
            begins_with(event.namespace, prefix)
            and (self.depth is None or len(event.namespace) - len(prefix) <= self.depth)
            for prefix in self.namespaces
        )


def begins_with(namespace: Namespace, prefix: Namespace) -> bool:
    """Whether a namespace lies at or below a prefix. A segment without a task (`node`) stands for any task of it."""
    return len(prefix) <= len(namespace) and all(
        has == wanted or (":" not in wanted and has.partition(":")[0] == wanted)
        for has, wanted in zip(namespace, prefix, strict=False)
    )


def parse_filter(params: Mapping[str, Any]) -> Filter:
    """The filter that a client asks for. Raises InvalidRequest."""
    channels = params.get("channels")
    if not isinstance(channels, list) or not channels:
        raise InvalidRequest("channels is required and must be a non-empty array")
    if len(channels) > MAX_ENTRIES:
        raise InvalidRequest(f"channels must have at most {MAX_ENTRIES} entries")
    if unknown := [str(each)[:100] for each in channels if not _known(each)]:
        allowed = ", ".join(CHANNELS)
        raise InvalidRequest(
            f"channels contains unsupported entries: {', '.join(unknown[:10])}. Allowed: {allowed}, or any "
            "`custom:<name>`."
        )
    return Filter(
        frozenset(channels),
        _namespaces(params.get("namespaces")),
        _count("depth", params.get("depth")),
        _count("since", params.get("since")) or 0,
    )


def _known(channel: Any) -> bool:
    if not isinstance(channel, str) or len(channel) > MAX_LENGTH:
        return False
    return channel in CHANNELS or (channel.startswith("custom:") and channel != "custom:")


def _namespaces(value: Any) -> tuple[Namespace, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(_namespace(each) for each in value) or len(value) > MAX_ENTRIES:
        raise InvalidRequest("namespaces must be an array of arrays of strings")
    return tuple(tuple(each) for each in value) or None


def _namespace(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(segment, str) and len(segment) <= MAX_LENGTH for segment in value
    )


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(f"{name} must be a non-negative integer")
    return value
