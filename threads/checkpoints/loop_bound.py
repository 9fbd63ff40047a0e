"""A saver of one event loop that synchronous nodes can call from threads and from other loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

T = TypeVar("T")


class SynchronousCall(RuntimeError):
    """A synchronous call of the graph would block the event loop: await its asynchronous form (ainvoke, astream,
    aget_state, …) in asynchronous nodes."""

    def __init__(self) -> None:
        super().__init__(" ".join((type(self).__doc__ or "").split()))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class LoopBound(BaseCheckpointSaver[str]):
    """Runs every call in the loop that created the saver.

    Subclasses define the asynchronous methods.
    """

    def __init__(self, *, serde: Any) -> None:
        super().__init__(serde=serde)
        self._loop = asyncio.get_running_loop()

    def is_here(self) -> bool:
        """Whether the caller is in the saver's loop."""
        return _running_loop() is self._loop

    async def _collect(self, config: RunnableConfig | None, **options: Any) -> Sequence[CheckpointTuple]:
        return [found async for found in self.alist(config, **options)]

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self.is_here():
            coroutine.close()
            raise SynchronousCall
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _here(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Await a call in the saver's loop, from any other loop."""
        if self.is_here():
            return await call()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self._loop))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._wait(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        yield from self._wait(self._collect(config, filter=filter, before=before, limit=limit))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self._wait(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._wait(self.aput_writes(config, writes, task_id, task_path))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return self._wait(self.aget_delta_channel_history(config=config, channels=channels))
