"""A client's filter of a thread's events: channels, namespaces, and the event to start after.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runs.exceptions import InvalidRequest
from runs.protocols.agent.events import Namespace, ProtocolEvent

CHANNELS = ("values", "updates", "messages", "tools", "custom", "lifecycle", "input", "tasks", "checkpoints")
#: Greatest integer that JavaScript represents exactly.
MAX_NUMBER = 2**53
#: Channels without content, which report that a run begins, is interrupted or ends.
TURNS = frozenset({"lifecycle", "input"})
#: Maximum channels and namespaces of a filter, characters of a channel or a segment, and segments of a
#: namespace.
MAX_ENTRIES, MAX_LENGTH, MAX_DEPTH = 1000, 256, 32


@dataclass(frozen=True, slots=True)
class Filter:
    """The events to which a client subscribes."""

    channels: frozenset[str]
    #: Prefixes; None for all namespaces.
    namespaces: tuple[Namespace, ...] | None = None
    #: Maximum depth below a prefix; None for any depth.
    depth: int | None = None
    #: Only events with a greater number.
    since: int = 0

    @property
    def has_content(self) -> bool:
        return not self.channels <= TURNS

    @property
    def entries(self) -> int:
        """Its size, which determines the memory and the time per event."""
        return len(self.channels) + sum(len(each) + 1 for each in self.namespaces or ())

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
    """Whether a namespace is at or below a prefix.

    A segment without a task (`node`) matches any of its tasks.
    """
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


def parse_event_number(text: str) -> int:
    """The number in the id of a server-sent event. Raises InvalidRequest."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_NUMBER):
        raise InvalidRequest("Invalid last-event-id: it must be the number of one of the thread's events")
    return int(text)


def _known(channel: Any) -> bool:
    if not isinstance(channel, str) or len(channel) > MAX_LENGTH:
        return False
    return channel in CHANNELS or (channel.startswith("custom:") and channel != "custom:")


def _namespaces(value: Any) -> tuple[Namespace, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(map(_namespace, value)) or len(value) > MAX_ENTRIES:
        raise InvalidRequest(
            f"namespaces must be an array of arrays of strings, at most {MAX_ENTRIES} of at most {MAX_DEPTH} each"
        )
    return tuple(tuple(each) for each in value) or None


def _namespace(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_DEPTH
        and all(isinstance(segment, str) and len(segment) <= MAX_LENGTH for segment in value)
    )


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise InvalidRequest(f"{name} must be a non-negative integer")
    return value
