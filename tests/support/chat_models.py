"""Chat models with scripted, streamed answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult


class Scripted(BaseChatModel):
    """A model with a scripted answer; its last piece has the usage."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def pieces(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        """The answer to these messages."""
        raise NotImplementedError

    def pause(self, messages: list[BaseMessage]) -> float:
        """How long each piece takes, in seconds."""
        return 0.0

    def _chunks(self, messages: list[BaseMessage]) -> list[ChatGenerationChunk]:
        pieces = self.pieces(messages)
        cost = {"input_tokens": 3, "output_tokens": len(pieces), "total_tokens": 3 + len(pieces)}
        for last in pieces[-1:]:
            last.chunk_position, last.usage_metadata = "last", cost  # type: ignore[assignment]
        return [ChatGenerationChunk(message=piece) for piece in pieces]

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(iter(self._chunks(messages)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(iter([chunk async for chunk in self._astream(messages)]))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            await asyncio.sleep(self.pause(messages))
            yield chunk


class Talker(Scripted):
    """Returns a number of words for any input."""

    tokens: int = 5
    delay: float = 0.0

    def pieces(self, messages: list[BaseMessage]) -> list[AIMessageChunk]:
        return [AIMessageChunk(f"w{number} ") for number in range(self.tokens)]

    def pause(self, messages: list[BaseMessage]) -> float:
        return self.delay
