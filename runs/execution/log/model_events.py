"""Streams models that a node calls by `astream_events(version="v3")` token by token, like other
calls.

LangGraph's handler of the `messages` mode gets such a call only when the message is complete.
LangGraph's handler of model events would turn the output of every model of the run into events,
which clients of the `messages` mode cannot read. So the handler of the `messages` mode takes events
here too, and emits them as the chunks that the model would have streamed.
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
#: Blocks that grow by those deltas. Other blocks are complete at their end.
TYPES = {"text-delta": "text", "reasoning-delta": "reasoning", "tool-call-delta": "tool_call_chunk"}


class Chunks:
    """Converts the events of one message into its chunks. Pure."""

    def __init__(self) -> None:
        self._id = ""
        #: The indexes of the blocks that chunks have covered so far.
        self._told: set[int] = set()

    def of(self, event: Json) -> AIMessageChunk | None:
        """The chunk for an event, if any."""
        match event:
            case {"event": "message-start", "id": str(message_id)}:
                self._id = message_id
            case {"event": "content-block-start", "index": int(index), "content": dict(block)}:
                if block.get("type") in TYPES.values():
                    self._told.add(index)
                    # The start of a text block is empty; that of a tool call has the tool's name.
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
    """LangGraph's handler of the `messages` mode, extended to take events of models.

    Some models also report tokens while their events are read. For each call, the kind that arrives
    first is streamed, and the other is dropped.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Model calls that are streamed from their events, and those that are streamed from their tokens.
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
            # The id that the whole message has in the end; LangGraph would give each chunk its own.
            chunk.message.id = f"{LC_ID_PREFIX}-{run_id}"
        super().on_llm_new_token(token, chunk=chunk, run_id=run_id, **kwargs)

    def on_stream_event(self, event: Json, *, run_id: UUID, **kwargs: Any) -> Any:
        meta = self.metadata.get(run_id)
        if meta is None or run_id in self._tokens:
            return
        chunk = self._events.setdefault(run_id, Chunks()).of(event)
        if chunk is not None:
            # This records the id, so that the message that the call or its node returns is not streamed
            # again.
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
    """Install the handler for all graphs, including those that nodes call. LangGraph has no public
    hook; a test fails when it changes.
    """
    setattr(pregel, "StreamMessagesHandler", MessagesHandler)  # noqa: B010


install()
