"""Snapshots of many checkpoints of a graph, equal to LangGraph's, at a fifth of their cost.

LangGraph prepares each checkpoint's tasks as if to execute them: it visits every channel and node
of the graph, and passes through the event loop for each. Here, whatever is the same for all
checkpoints is prepared once, and only nodes that may have been triggered are checked. LangGraph
still handles the complex cases: values rebuilt from earlier checkpoints, values changed by pending
writes, and checkpoints of older versions.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any

from langgraph._internal._config import patch_checkpoint_map
from langgraph._internal._constants import NULL_TASK_ID, TASKS
from langgraph._internal._typing import MISSING
from langgraph.channels import BinaryOperatorAggregate
from langgraph.channels.base import BaseChannel
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.pregel import Pregel
from langgraph.pregel._algo import prepare_next_tasks
from langgraph.pregel._io import read_channels
from langgraph.pregel.debug import tasks_w_writes
from langgraph.types import StateSnapshot

#: How many snapshots are made before other tasks may run.
TURN = 10


async def history(
    graph: Any,
    config: Any,
    *,
    limit: int,
    before: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> AsyncIterator[StateSnapshot]:
    """Yield the same as `graph.aget_state_history`: a namespace's snapshots, newest first.

    Args:
        before: Only snapshots older than this checkpoint.
        metadata: Values that the checkpoints' metadata must contain.
    """
    options: dict[str, Any] = {
        "filter": dict(metadata) if metadata else None,
        "before": {"configurable": {"checkpoint_id": before}} if before else None,
        "limit": limit,
    }
    if config["configurable"].get("checkpoint_ns") or not is_plain(graph):
        snapshots = graph.aget_state_history(config, **options)
    else:
        snapshots = _snapshots(graph, config, options)
    made = 0
    async for snapshot in snapshots:
        yield snapshot
        made += 1
        if made % TURN == 0:
            await asyncio.sleep(0)


def is_plain(graph: Any) -> bool:
    """Whether a graph uses LangGraph's own methods for its snapshots."""
    kind = type(graph)
    return all(
        getattr(kind, name, None) is getattr(Pregel, name)
        for name in ("aget_state_history", "_aprepare_state_snapshot")
    )


async def _snapshots(graph: Any, config: Any, options: dict[str, Any]) -> AsyncIterator[StateSnapshot]:
    saver, quick = graph.checkpointer, Snapshots(graph)
    config = {"configurable": {"checkpoint_ns": "", **config["configurable"]}}
    async for saved in saver.alist(config, **options):
        if quick.can(saved):
            yield quick.of(saved)
        else:
            yield await graph._aprepare_state_snapshot(saved.config, saved, saver=saver)


class Snapshots:
    """A graph, prepared for many checkpoints."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._nodes = {name: node for name, node in graph.nodes.items() if node.node is not None}
        self._subgraphs = {name for name, _ in graph.get_subgraphs()}
        self._specs = {name: spec for name, spec in graph.channels.items() if isinstance(spec, BaseChannel)}
        self._managed = {name: spec for name, spec in graph.channels.items() if name not in self._specs}
        self._empty = {name: spec.from_checkpoint(MISSING) for name, spec in self._specs.items()}
        #: Channels that are rebuilt from earlier checkpoints' writes if a checkpoint has a version but no
        #: value.
        self._replayed = [
            name
            for name, spec in self._specs.items()
            if isinstance(spec, DeltaChannel | BinaryOperatorAggregate)
        ]
        self._readers: defaultdict[str, list[str]] = defaultdict(list)
        for name, node in self._nodes.items():
            for channel in node.triggers:
                self._readers[channel].append(name)
        #: Nodes whose trigger has a value even if nothing was written to it.
        self._always = {
            name
            for channel, empty in self._empty.items()
            if empty.is_available()
            for name in self._readers[channel]
        }

    def can(self, saved: CheckpointTuple) -> bool:
        """Whether a checkpoint is simple enough for `of`."""
        checkpoint = saved.checkpoint
        values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
        return (
            checkpoint["v"] >= 4
            and all(name in values or name not in versions for name in self._replayed)
            and all(task != NULL_TASK_ID for task, _, _ in saved.pending_writes or ())
        )

    def of(self, saved: CheckpointTuple) -> StateSnapshot:
        """The snapshot of a simple checkpoint."""
        channels = self._channels(saved.checkpoint["channel_values"])
        tasks = self._tasks(saved, channels)
        place = saved.config["configurable"]
        states: dict[str, Any] = {
            task.id: {
                "configurable": {
                    "thread_id": place["thread_id"],
                    "checkpoint_ns": f"{task.name}:{task.id}",
                }
            }
            for task in tasks
            if task.name in self._subgraphs
        }
        shown = self._graph.stream_channels_asis
        done = tasks_w_writes(tasks, saved.pending_writes, states, shown)
        return StateSnapshot(
            read_channels(channels, shown),
            tuple(task.name for task in tasks),
            patch_checkpoint_map(saved.config, saved.metadata),
            saved.metadata,
            saved.checkpoint["ts"],
            patch_checkpoint_map(saved.parent_config, saved.metadata),
            done,
            tuple(interrupt for task in done for interrupt in task.interrupts),
        )

    def _channels(self, values: Mapping[str, Any]) -> dict[str, BaseChannel]:
        """The channels with a checkpoint's values.

        Empty ones are shared, because nothing writes to them.
        """
        return self._empty | {
            name: spec.from_checkpoint(values[name]) for name, spec in self._specs.items() if name in values
        }

    def _tasks(self, saved: CheckpointTuple, channels: Mapping[str, BaseChannel]) -> list[Any]:
        """The tasks that follow a checkpoint, in LangGraph's order."""
        values, nodes = saved.checkpoint["channel_values"], self._nodes
        if TASKS not in values:
            can = self._always.union(*(self._readers.get(channel, ()) for channel in values))
            nodes = {name: node for name, node in nodes.items() if name in can} if can else {}
        step = saved.metadata.get("step", -1) + 1
        tasks = prepare_next_tasks(
            saved.checkpoint,
            saved.pending_writes or [],
            nodes,
            channels,
            self._managed,
            saved.config,
            step,
            step + 2,
            for_execution=False,
        )
        return list(tasks.values())
