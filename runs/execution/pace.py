"""LangGraph's `async` durability, which may run ahead of a slow storage by one step only.

LangGraph saves a checkpoint beside the next step, and does not wait for it later: a crash could
repeat any number of steps. Here a step begins when the checkpoint before the newest one was saved,
in every graph at any depth. The hook is the look-up of cached results, with which LangGraph 1.2
begins each step. `tests/runs/execution/test_pace.py` fails when LangGraph changes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any

from langgraph.pregel._loop import AsyncPregelLoop, SyncPregelLoop

from runs.execution.attempt_writer import AttemptWriter

_original = SyncPregelLoop.match_cached_writes
_original_async = AsyncPregelLoop.amatch_cached_writes


def _saving_before(loop: Any) -> Any:
    """The saving of the checkpoint before the newest one, when a step begins; None if there is none."""
    if not isinstance(loop.checkpointer, AttemptWriter) or loop.durability != "async":
        return None
    known = vars(loop)
    if known.get("_paced_step") == loop.step:
        return None
    before, newest = known.get("_paced_saving"), known.get("_put_checkpoint_fut")
    loop._paced_step, loop._paced_saving = loop.step, newest
    return before


def _match_cached_writes(loop: SyncPregelLoop) -> Any:
    if (saving := _saving_before(loop)) is not None:
        concurrent.futures.wait([saving])
    return _original(loop)


async def _amatch_cached_writes(loop: AsyncPregelLoop) -> Any:
    if (saving := _saving_before(loop)) is not None:
        await asyncio.wait([saving])
    return await _original_async(loop)


def install() -> None:
    """Pace the graphs of this process."""
    SyncPregelLoop.match_cached_writes = _match_cached_writes  # type: ignore[method-assign, assignment]
    AsyncPregelLoop.amatch_cached_writes = _amatch_cached_writes  # type: ignore[method-assign, assignment]
