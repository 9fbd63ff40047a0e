"""The `messages` stream mode: token deltas accumulated into messages. Pure: no Django, no database.

The log holds a model's stream, one delta per event (`messages-tuple`). Clients of `messages` get
the metadata of each message once, then the accumulated message after each delta (wire protocol
§3.2).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from langchain_core.messages import AIMessageChunk, message_chunk_to_message
from langchain_core.messages.ai import add_usage
from langchain_core.messages.base import merge_content
from langchain_core.utils._merge import merge_dicts, merge_lists
from langchain_core.utils.json import parse_partial_json

from runs.encoding import decode, encode

Json = dict[str, Any]

#: A chunk's type and the type of its message.
TYPES = {
    "AIMessageChunk": "ai",
    "HumanMessageChunk": "human",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "FunctionMessageChunk": "function",
    "ChatMessageChunk": "chat",
}
#: Fields that only chunks have.
CHUNK_FIELDS = frozenset({"tool_call_chunks", "chunk_position"})
#: Maximum concurrently streamed messages; beyond it, the longest silent one is forgotten and restarts from
#: its next chunk.
OPEN_MESSAGES = 256


class MessageAccumulator:
    """The growing messages of one run, for one reader."""

    def __init__(self) -> None:
        self._described: set[str] = set()
        self._open: OrderedDict[str, Json] = OrderedDict()

    def restart(self) -> None:
        """Forget all messages: a new attempt streams its messages from the beginning."""
        self._described.clear()
        self._open.clear()

    def feed(self, data: str) -> list[tuple[str, str]]:
        """The frames, as (event name, JSON), for one event `[message or chunk, metadata]`."""
        message, metadata = decode(data)
        key = str(message.get("id"))
        frames = []
        if key not in self._described:
            self._described.add(key)
            frames.append(("messages/metadata", encode({key: {"metadata": metadata}})))
        if message.get("type") not in TYPES:
            frames.append(("messages/complete", encode([message])))
            return frames
        grown = self._open.get(key)
        grown = merged(grown, message) if grown is not None else message
        self._open[key] = grown
        self._open.move_to_end(key)
        if grown.get("chunk_position") == "last":
            del self._open[key]
        elif len(self._open) > OPEN_MESSAGES:
            self._open.popitem(last=False)
        frames.append(("messages/partial", encode([as_message(grown)])))
        return frames


def merged(left: Json, right: Json) -> Json:
    """Add a chunk to those before it, as LangChain's `AIMessageChunk.__add__` does, without building its objects."""
    grown = dict(left)
    one, two = left.get("content") or "", right.get("content") or ""
    if isinstance(one, str) and isinstance(two, str):
        grown["content"] = one + two
    else:
        grown["content"] = summed(merge_content, one, two, otherwise=[*_listed(one), *_listed(two)])
    for name in ("additional_kwargs", "response_metadata"):
        if right.get(name):
            one, two = left.get(name) or {}, right[name]
            grown[name] = summed(merge_dicts, one, two, otherwise={**one, **two})
    if right.get("tool_call_chunks"):
        one, two = left.get("tool_call_chunks") or [], right["tool_call_chunks"]
        grown["tool_call_chunks"] = summed(merge_lists, one, two, otherwise=[*one, *two])
    if right.get("usage_metadata"):
        one, two = left.get("usage_metadata"), right["usage_metadata"]
        grown["usage_metadata"] = summed(add_usage, one, two, otherwise=two)
    grown["chunk_position"] = right.get("chunk_position") or left.get("chunk_position")
    return grown


def as_message(chunk: Json) -> Json:
    """A chunk, or a sum of chunks, as a message."""
    if (
        chunk.get("chunk_position") == "last"
        and isinstance(chunk.get("content"), list)
        and (chunk.get("response_metadata") or {}).get("output_version") == "v1"
    ):
        # LangChain finishes the blocks of its standard content when it builds the last chunk's object.
        # What it cannot read, such as a count of tokens that is none, stays as it is.
        with suppress(TypeError, ValueError, KeyError):
            return message_chunk_to_message(AIMessageChunk.model_validate(chunk)).model_dump()
    message = {name: value for name, value in chunk.items() if name not in CHUNK_FIELDS}
    message["type"] = TYPES[chunk["type"]]
    if chunk.get("tool_call_chunks"):
        message["tool_calls"], message["invalid_tool_calls"] = _tool_calls(chunk["tool_call_chunks"])
    return message


def _tool_calls(chunks: list[Json]) -> tuple[list[Json], list[Json]]:
    """The calls whose arguments are valid JSON so far, and the other calls."""
    calls: list[Json] = []
    invalid: list[Json] = []
    for chunk in chunks:
        name, text, call_id = chunk.get("name"), chunk.get("args"), chunk.get("id")
        try:
            arguments = parse_partial_json(text) if text else {}
        except (ValueError, RecursionError):
            arguments = None
        if isinstance(arguments, dict):
            calls.append({"name": name or "", "args": arguments, "id": call_id, "type": "tool_call"})
        else:
            invalid.append(
                {"type": "invalid_tool_call", "id": call_id, "name": name, "args": text, "error": None}
            )
    return calls, invalid


def summed(add: Callable[[Any, Any], Any], one: Any, two: Any, *, otherwise: Any) -> Any:
    """LangChain's sum of the two; `otherwise` if it refuses them, so that the stream continues."""
    try:
        return add(one, two)
    except (TypeError, ValueError, AttributeError):
        return otherwise


def _listed(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]
