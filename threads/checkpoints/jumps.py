"""Corrects LangGraph's state of a thread after a command's `goto`.

A command's `goto` is stored as a pending write of the checkpoint that it found. `get_state`
prepares the tasks of that checkpoint before it applies these writes (LangGraph 1.2). So the target
node is not among the tasks: its interrupt is not shown, and could not be answered.
`tests/threads/checkpoints/test_jumps.py` fails when LangGraph changes.
"""

from __future__ import annotations

from typing import Any

from langgraph._internal._constants import INPUT, NULL_TASK_ID, TASKS
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import CheckpointTuple, copy_checkpoint
from langgraph.pregel import Pregel
from langgraph.pregel._algo import PregelTaskWrites, apply_writes
from langgraph.pregel._checkpoint import achannels_from_checkpoint

_original = Pregel._aprepare_state_snapshot


async def _prepare(
    graph: Any, config: Any, saved: CheckpointTuple | None, *, saver: Any, **options: Any
) -> Any:
    if saved is not None:
        saved = await gone_to(graph, saved, saver)
    return await _original(graph, config, saved, saver=saver, **options)


async def gone_to(graph: Any, saved: CheckpointTuple, saver: Any) -> CheckpointTuple:
    """The checkpoint, with the `goto` targets of its pending writes applied."""

    def leads(channel: str) -> bool:
        triggers = channel == TASKS or channel in graph.trigger_to_nodes
        return triggers and not isinstance(graph.channels.get(channel), DeltaChannel)

    pending = saved.pending_writes or []
    jumps = [each for each in pending if each[0] == NULL_TASK_ID and leads(each[1])]
    if not jumps:
        return saved
    checkpoint = copy_checkpoint(saved.checkpoint)
    channels, _ = await achannels_from_checkpoint(
        graph.channels, checkpoint, saver=saver, config=saved.config
    )
    writes = PregelTaskWrites((), INPUT, [each[1:] for each in jumps], [])
    changed = apply_writes(checkpoint, channels, [writes], saver.get_next_version, graph.trigger_to_nodes)
    values = {name: channels[name].checkpoint() for name in changed}
    checkpoint["channel_values"] = {**checkpoint["channel_values"], **values}
    rest = [each for each in pending if each not in jumps]
    return saved._replace(checkpoint=checkpoint, pending_writes=rest)


def install() -> None:
    """Install the correction in this process's LangGraph."""
    Pregel._aprepare_state_snapshot = _prepare  # type: ignore[method-assign, assignment]
