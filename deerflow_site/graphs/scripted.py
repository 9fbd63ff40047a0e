"""A chat model without a model: it streams prepared answers, works offline and costs nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from deerflow_site.graphs import knobs, script

# The text of a message is its block 0. A tool call needs another index, otherwise a client would merge the
# two.
TOOL_CALL_INDEX = 1


class ScriptedChatModel(BaseChatModel):
    """Streams `script.answer` word by word, each word after `DEMO_DELAY` seconds.

    The model has no state: one object serves any number of runs, and a repeated call gives the same
    text.
    """

    model: str = "scripted"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(
            tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop=stop, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        pieces = [piece async for piece in self._astream(messages, stop=stop, **kwargs)]
        return generate_from_stream(iter(pieces))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        seconds = knobs.delay()
        for chunk in chunks(messages, **kwargs):
            time.sleep(seconds)
            yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        seconds = knobs.delay()
        for chunk in chunks(messages, **kwargs):
            await asyncio.sleep(seconds)
            yield ChatGenerationChunk(message=chunk)


def chunks(
    messages: list[BaseMessage], *, tools: Sequence[dict[str, Any]] = (), **_: Any
) -> list[AIMessageChunk]:
    """The answer as chunks; the last one is empty and has the token usage."""
    reply = script.answer(messages)
    pieces = [AIMessageChunk(content=word) for word in words(reply.text)]
    calls_tool = bool(reply.tool_args and tools)
    if calls_tool:
        pieces += tool_call(tools[0]["function"]["name"], reply.tool_args)
    sent, received = sum(count_tokens(message.text) for message in messages), len(pieces)
    last = AIMessageChunk(
        content="",
        usage_metadata=UsageMetadata(input_tokens=sent, output_tokens=received, total_tokens=sent + received),
        response_metadata={"model_name": "scripted", "finish_reason": "tool_calls" if calls_tool else "stop"},
        chunk_position="last",
    )
    return [*pieces, last]


def tool_call(name: str, args: dict[str, Any]) -> list[AIMessageChunk]:
    """One streamed tool call: first its name and id, then its arguments as pieces of JSON."""
    text = json.dumps(args, ensure_ascii=False)
    call_id = f"call_{hashlib.sha256(f'{name} {text}'.encode()).hexdigest()[:16]}"
    parts = [tool_call_chunk(name=name, args="", id=call_id, index=TOOL_CALL_INDEX)]
    parts += [tool_call_chunk(args=piece, index=TOOL_CALL_INDEX) for piece in words(text)]
    return [AIMessageChunk(content="", tool_call_chunks=[part]) for part in parts]


def words(text: str) -> list[str]:
    """The words of `text`, each with the white space after it: joined they are `text` again."""
    return re.findall(r"\A\s*\S+\s*|\S+\s*", text)


def count_tokens(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))
