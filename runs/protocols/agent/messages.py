"""The `messages` channel: a model's stream as blocks of content that begin, grow and finish. Pure.

A message consists of `message-start`, then `content-block-start`, deltas and `content-block-finish`
for each of its blocks, then `message-finish`. LangChain converts every provider's form into blocks
(`content_blocks`). If several messages are streamed at once, stock clients find the message of a
delta by `run_id` (JavaScript) or `id` (Python).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import add_usage

from runs.protocols.messages import summed

Json = dict[str, Any]
Namespace = tuple[str, ...]

#: The types of complete messages from nodes, with their roles for clients. Tools' results have their own
#: channel.
ROLES = {"ai": "ai", "human": "human", "system": "system"}
CHUNK = "AIMessageChunk"
CALL_CHUNKS = ("tool_call_chunk", "server_tool_call_chunk")
#: Parts of a block that are sent only with its end, because they may be large.
HEAVY = frozenset({"args", "data", "output", "transcript", "value"})
#: Parts of a message that say nothing of its blocks. A model may say a usage that LangChain refuses.
OF_WHOLE = frozenset({"node", "usage_metadata"})
#: Maximum concurrently streamed messages; beyond it, the longest silent one is ended.
OPEN_MESSAGES = 256


@dataclass(slots=True)
class Piece:
    """One event of the channel."""

    namespace: Namespace
    node: str | None
    data: Json


@dataclass(slots=True)
class _Open:
    """A message that has begun and not finished."""

    message_id: str
    node: str | None
    #: By the provider's key of a block: its index for clients, and its content so far.
    blocks: dict[Any, tuple[int, Json]] = field(default_factory=dict)
    usage: Any = None
    metadata: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    @property
    def names(self) -> Json:
        return {"id": self.message_id, "run_id": self.message_id.removeprefix("lc_run--")}


class Messages:
    """The messages of one run, as events from which clients assemble them."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[Namespace, str], _Open] = OrderedDict()

    def feed(self, namespace: Namespace, message: Mapping[str, Any], node: str | None) -> list[Piece]:
        """The events of a chunk, or of a complete message."""
        kind = message.get("type")
        if kind != CHUNK and kind not in ROLES:
            return []
        message_id = str(message.get("id") or "")
        key = (namespace, message_id)
        found: list[Piece] = []
        opened = self._open.get(key)
        if opened is None:
            opened = self._open[key] = _Open(message_id, node)
            found.append(Piece(namespace, node, _start(message, message_id)))
        self._open.move_to_end(key)
        found += [Piece(namespace, node, each) for each in _grow(opened, message)]
        if kind != CHUNK or message.get("chunk_position") == "last":
            found += self._finish(key)
        elif len(self._open) > OPEN_MESSAGES:
            found += self._finish(next(iter(self._open)))
        for piece in found:
            for name, each in opened.names.items():
                piece.data.setdefault(name, each)
        return found

    def close(self, error: str | None = None) -> list[Piece]:
        """End all open messages; `error` is the reason if they are incomplete."""
        found: list[Piece] = []
        for key in list(self._open):
            if error is None:
                found += self._finish(key)
            else:
                opened = self._open.pop(key)
                found.append(Piece(key[0], opened.node, {"event": "error", "message": error, **opened.names}))
        return found

    def _finish(self, key: tuple[Namespace, str]) -> list[Piece]:
        opened = self._open.pop(key)
        events = [
            {"event": "content-block-finish", "index": index, "content": finished(block)}
            for index, block in opened.blocks.values()
        ]
        last: Json = {"event": "message-finish"}
        if opened.usage:
            last["usage"] = opened.usage
        if opened.metadata:
            last["metadata"] = opened.metadata
        if opened.extra:
            last["additional_kwargs"] = opened.extra
        return [Piece(key[0], opened.node, {**each, **opened.names}) for each in (*events, last)]


def _start(message: Mapping[str, Any], message_id: str) -> Json:
    start: Json = {"event": "message-start", "role": ROLES.get(message["type"], "ai"), "id": message_id}
    told = message.get("response_metadata") or {}
    names = {"provider": "model_provider", "model": "model_name"}
    if metadata := {name: told[key] for name, key in names.items() if key in told}:
        start["metadata"] = metadata
    return start


def _grow(opened: _Open, message: Mapping[str, Any]) -> Iterator[Json]:
    """The events of a chunk's blocks; also updates the blocks' content."""
    for key, block in blocks_of(message):
        if key in opened.blocks:
            index, grown = opened.blocks[key]
            opened.blocks[key] = (index, merged(grown, block))
        else:
            index = len(opened.blocks)
            opened.blocks[key] = (index, block)
            yield {"event": "content-block-start", "index": index, "content": skeleton(block)}
        if (delta := delta_of(block)) is not None:
            yield {"event": "content-block-delta", "index": index, "delta": delta}
    if usage := message.get("usage_metadata"):
        # Any value can be there.
        opened.usage = summed(add_usage, opened.usage, usage, otherwise=usage)
    opened.metadata |= message.get("response_metadata") or {}
    opened.extra |= message.get("additional_kwargs") or {}


def blocks_of(message: Mapping[str, Any]) -> list[tuple[Any, Json]]:
    """The blocks of a message or a chunk, each with its key among the chunks of its message."""
    content = message.get("content") or ""
    plain = not any(
        message.get(name)
        for name in ("tool_calls", "invalid_tool_calls", "tool_call_chunks", "additional_kwargs")
    )
    if plain and isinstance(content, str):
        return [((None, "text", 0), {"type": "text", "text": content})] if content else []
    whole = {"content": "", **{name: each for name, each in message.items() if name not in OF_WHOLE}}
    try:
        if message.get("type") == CHUNK:
            found: list[Any] = list(AIMessageChunk.model_validate(whole).content_blocks)
        else:
            parsed = AIMessage.model_validate({**whole, "type": "ai"})
            invalid = [{"type": "invalid_tool_call", **each} for each in parsed.invalid_tool_calls]
            found = [*parsed.content_blocks, *invalid]
    except (ValueError, TypeError, KeyError):
        # A provider's form that LangChain cannot read. The content is still in the state's values.
        found = []
    keyed = []
    for place, block in enumerate(found):
        index = block.get("index")
        keyed.append(((None, block.get("type"), place) if index is None else index, dict(block)))
    return keyed


def skeleton(block: Json) -> Json:
    """The block for `content-block-start`: its identity without its content."""
    kind = block.get("type")
    if kind in ("text", "reasoning"):
        kept = {name: each for name, each in block.items() if name not in (kind, "index", "annotations")}
        return {**kept, kind: ""}
    if kind in CALL_CHUNKS:
        names = ("type", "id", "name", "index")
        return {**{name: block[name] for name in names if block.get(name) is not None}, "args": ""}
    kept = {name: each for name, each in block.items() if name not in HEAVY}
    if kind in ("tool_call", "server_tool_call"):
        kept["args"] = {}
    elif kind == "non_standard":
        kept["value"] = {}
    return kept


def delta_of(block: Json) -> Json | None:
    """The delta that a chunk adds to a block, if there is a form for it."""
    kind = block.get("type")
    if kind == "text":
        return {"type": "text-delta", "text": block["text"]} if block.get("text") else None
    if kind == "reasoning":
        text = block.get("reasoning")
        return {"type": "reasoning-delta", "reasoning": text} if text else None
    if kind in CALL_CHUNKS:
        return {"type": "tool-call-delta", "args": block["args"]} if block.get("args") else None
    return {"type": "data-delta", "data": block["data"]} if block.get("data") else None


def merged(grown: Json, more: Json) -> Json:
    """A block after a chunk was added to it."""
    kind = grown.get("type")
    text = {"text": "text", "reasoning": "reasoning"}.get(
        str(kind), "args" if kind in CALL_CHUNKS else "data"
    )
    if kind != more.get("type") or (text == "data" and "data" not in more):
        return more
    news = {name: each for name, each in more.items() if each is not None}
    result = {**grown, **news, text: (grown.get(text) or "") + (more.get(text) or "")}
    if isinstance(grown.get("extras"), dict) and isinstance(more.get("extras"), dict):
        result["extras"] = {**grown["extras"], **more["extras"]}
    return result


def finished(block: Json) -> Json:
    """The final block: a tool call with its arguments parsed, or an invalid one."""
    kind = block.get("type")
    if kind not in CALL_CHUNKS:
        return block
    rest = {name: each for name, each in block.items() if name not in ("type", "args") and each is not None}
    if kind == "tool_call_chunk":
        rest.pop("index", None)
    text = block.get("args") or "{}"
    call = {"id": None, "name": "", **rest}
    try:
        return {**call, "type": str(kind).removesuffix("_chunk"), "args": orjson.loads(text)}
    except orjson.JSONDecodeError:
        return {
            **call,
            "type": "invalid_tool_call",
            "args": text,
            "error": "The arguments are not valid JSON.",
        }
