"""Models that a node calls by `astream_events(version="v3")`, told token by token like those that it calls otherwise.

LangGraph's handler of the `messages` mode hears of such a call when the message is whole; the one that hears its events
makes every model of the run speak in events, which clients of the `messages` mode do not read. So the handler of the mode
takes events here too, and tells them as the chunks that the model would have streamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import langgraph.pregel.main as pregel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult
from langchain_core.utils.utils import LC_ID_PREFIX
from langgraph.pregel._messages import StreamMessagesHandler

Json = Mapping[str, Any]

#: The fields of a block that grow by deltas, by the deltas' types.
GROWING = {"text-delta": "text", "reasoning-delta": "reasoning", "tool-call-delta": "args"}
#: Blocks that grow by those; of others the end has everything.
TYPES = {"text-delta": "text", "reasoning-delta": "reasoning", "tool-call-delta": "tool_call_chunk"}


class Chunks:
    """The events of one message, as chunks of it. Pure."""

    def __init__(self) -> None:
        self._id = ""
        #: The blocks, by index, that chunks have told so far.
        self._told: set[int] = set()

    def of(self, event: Json) -> AIMessageChunk | None:
        """The chunk that an event amounts to, if any."""
        match event:
            case {"event": "message-start", "id": str(message_id)}:
                self._id = message_id
            case {"event": "content-block-start", "index": int(index), "content": dict(block)}:
                if block.get("type") in TYPES.values():
                    self._told.add(index)
                    # A block of text is nothing yet; a tool's call has its name.
                    if block["type"] == "tool_call_chunk" or block.get(block["type"]):
                        return self._chunk(index, block)
            case {"event": "content-block-delta", "index": int(index), "delta": {"type": str(kind), **rest}}:
                if kind in GROWING:
                    self._told.add(index)
                    return self._chunk(index, {"type": TYPES[kind], GROWING[kind]: rest.get(GROWING[kind])})
            case {"event": "content-block-finish", "index": int(index), "content": dict(block)}:
                if index not in self._told:
                    return self._chunk(index, block)
            case {"event": "message-finish"}:
                return self._made([], usage_metadata=event.get("usage"), chunk_position="last")
        return None

    def _chunk(self, index: int, block: Json) -> AIMessageChunk:
        whole = {**block, "index": index}
        if block["type"] != "tool_call_chunk":
            return self._made([whole])
        call = {"name": None, "id": None, **whole}
        return self._made([call], tool_call_chunks=[call])

    def _made(self, content: list[Any], **fields: Any) -> AIMessageChunk:
        return AIMessageChunk(
            content=content, id=self._id, response_metadata={"output_version": "v1"}, **fields
        )


class MessagesHandler(StreamMessagesHandler):
    """LangGraph's handler of the `messages` mode, which takes events of models as well.

    Some models tell their tokens themselves while their events are read: what comes first is told, and the other is not.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The calls of models that are told by their events, and those that are told by their tokens.
        self._events: dict[UUID, Chunks] = {}
        self._tokens: set[UUID] = set()

    def on_llm_new_token(
        self,
        token: Any,
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        **kwargs: Any,
    ) -> Any:
        if run_id in self._events or not isinstance(chunk, ChatGenerationChunk):
            return
        self._tokens.add(run_id)
        if chunk.message.id is None:
            # The one that the whole message has in the end; LangGraph would give each chunk one of its own.
            chunk.message.id = f"{LC_ID_PREFIX}-{run_id}"
        super().on_llm_new_token(token, chunk=chunk, run_id=run_id, **kwargs)

    def on_stream_event(self, event: Json, *, run_id: UUID, **kwargs: Any) -> Any:
        meta = self.metadata.get(run_id)
        if meta is None or run_id in self._tokens:
            return
        chunk = self._events.setdefault(run_id, Chunks()).of(event)
        if chunk is not None:
            # Notes its id: the message that the call, or its node, returns is not told once more.
            self._emit(meta, chunk)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> Any:
        self._forget(run_id)
        super().on_llm_end(response, run_id=run_id, **kwargs)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> Any:
        self._forget(run_id)
        super().on_llm_error(error, run_id=run_id, **kwargs)

    def _forget(self, run_id: UUID) -> None:
        self._events.pop(run_id, None)
        self._tokens.discard(run_id)


def install() -> None:
    """Let graphs use it, also those that nodes call. LangGraph has no public hook; a test fails when it changes."""
    setattr(pregel, "StreamMessagesHandler", MessagesHandler)  # noqa: B010


install()
