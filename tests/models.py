"""A chat model that says what it is told to, token by token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class Talker(BaseChatModel):
    tokens: int = 5
    delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = "".join(f"w{number} " for number in range(self.tokens))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for number in range(self.tokens):
            await asyncio.sleep(self.delay)
            last = number == self.tokens - 1
            usage = {"input_tokens": 3, "output_tokens": self.tokens, "total_tokens": 3 + self.tokens}
            chunk = AIMessageChunk(
                f"w{number} ", usage_metadata=usage if last else None, chunk_position="last" if last else None
            )
            yield ChatGenerationChunk(message=chunk)
