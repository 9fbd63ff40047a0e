"""Whether a graph can continue from a checkpoint that other code has left. Pure: no Django, no
database.

A checkpoint holds the triggers of the next nodes. LangGraph skips triggers of nodes that the graph
does not have. So a run that resumes after a node was renamed or removed would end in success
without having done its work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.graph import START
from langgraph.pregel import Pregel
from langgraph.types import Interrupt, Send

#: How a StateGraph names the channels that trigger its nodes; a node's name has no colon.
BRANCH, JOIN, SENDS = "branch:to:", "join:", "__pregel_tasks"
#: The channel of a task's interrupts.
INTERRUPT = "__interrupt__"


class NodeGone(Exception):
    """The thread waits for something that the graph no longer has.

    `questions` are the waiting interrupts, {task id: [Interrupt]}, because the graph cannot show
    those of its lost nodes.
    """

    def __init__(self, message: str, questions: Mapping[str, list[Interrupt]]) -> None:
        super().__init__(message)
        self.questions = questions


def missing(found: CheckpointTuple, graph: Pregel) -> list[str]:
    """The things that a checkpoint waits for and the graph does not have, in words.

    These are nodes, and completed edges from several nodes to one node that still exists.
    """
    words = set()
    joins: dict[str, set[str]] = {}
    for channel, value in _triggers(found):
        if channel.startswith(JOIN):
            joins.setdefault(channel, set()).update(value)
        else:
            words |= {f"node {node!r}" for node in _targets(channel, value) if node not in graph.nodes}
    for channel, arrived in joins.items():
        sources, node = channel.removeprefix(JOIN).rsplit(":", 1)
        if arrived and node not in graph.nodes:
            words.add(f"node {node!r}")
        elif channel not in graph.channels and len("+".join(arrived)) == len(sources):
            words.add(f"the edge from {sources!r} to {node!r}")
    return sorted(words)


def _triggers(found: CheckpointTuple) -> Iterator[tuple[str, Any]]:
    """The channels that trigger nodes, with their values and those that are written when the step
    is complete.
    """
    versions = found.checkpoint["channel_versions"]
    # Savers keep the values of channels that later code does not know. A new input ends the thread's earlier
    # work, so values older than the latest input are ignored.
    latest_input = _number(versions.get(START))
    for channel, value in found.checkpoint["channel_values"].items():
        if _number(versions.get(channel)) >= latest_input:
            yield from _trigger(channel, value, stored=True)
    for _, channel, value in found.pending_writes or ():
        yield from _trigger(channel, value, stored=False)


def _trigger(channel: str, value: Any, *, stored: bool) -> Iterator[tuple[str, Any]]:
    if channel.startswith(JOIN):
        # The stored value is the nodes that have arrived, and for a deferred target also whether the graph
        # was at its end.
        arrived = value[0] if isinstance(value, tuple | list) else value
        yield channel, arrived if stored else {value}
    elif channel.startswith(BRANCH):
        yield channel, value
    elif channel == SENDS:
        yield channel, value if isinstance(value, list) else [value]


def _targets(channel: str, value: Any) -> Iterator[str]:
    if channel == SENDS:
        yield from (each.node for each in value if isinstance(each, Send))
    else:
        yield channel.removeprefix(BRANCH)


def _number(version: Any) -> int:
    """The step in a channel's version, which a saver writes as 1 or as "0001.random"."""
    return int(str(version).split(".", 1)[0]) if version else 0


def root_of(config: RunnableConfig) -> RunnableConfig:
    """The address of the root checkpoint, for the address of a checkpoint that may be a subgraph's."""
    place = config.get("configurable") or {}
    if not place.get("checkpoint_ns"):
        return config
    root = (place.get("checkpoint_map") or {}).get("")
    return {**config, "configurable": {**place, "checkpoint_ns": "", "checkpoint_id": root}}


async def missing_anywhere(
    graph: Pregel, saver: BaseCheckpointSaver[str], config: RunnableConfig
) -> Mapping[str, list[str]]:
    """The things that a thread waits for and the graph or a subgraph does not have, in words, by
    checkpoint id.

    Only subgraphs that are nodes of their parent are checked, because graphs that a node calls
    itself are not known.

    Args:
        graph: The root graph, with `saver` as its checkpointer.
        config: The address of a checkpoint of the root graph or a subgraph, or of the thread.
    """
    places = config["configurable"].get("checkpoint_map") or {}
    return {key: words async for key, words in _walk(graph, graph, saver, root_of(config), places)}


async def _walk(
    root: Pregel,
    graph: Pregel,
    saver: BaseCheckpointSaver[str],
    config: RunnableConfig,
    places: Mapping[str, str],
) -> Any:
    """Visit a checkpoint and those of its subgraphs.

    Args:
        places: Ids of checkpoints by namespace, for namespaces where the newest checkpoint is not
            the right one.
    """
    found = await saver.aget_tuple(config)
    if found is None:
        return
    if words := missing(found, graph):
        yield found.checkpoint["id"], words
    children = {name: node.bound for name, node in graph.nodes.items() if isinstance(node.bound, Pregel)}
    if not children:
        return
    for task in (await root.aget_state(config)).tasks:
        if task.name in children and isinstance(task.state, dict):
            below = dict(task.state["configurable"])
            if place := places.get(below.get("checkpoint_ns", "")):
                below["checkpoint_id"] = place
            state: RunnableConfig = {"configurable": below}
            async for deeper in _walk(root, children[task.name], saver, state, places):
                yield deeper


async def ensure_goes_on(
    graph: Pregel, saver: BaseCheckpointSaver[str], config: RunnableConfig, *, name: str
) -> None:
    """Raise NodeGone if the graph cannot continue from its thread's present state.

    Args:
        name: The graph's name, for the message.
    """
    lost = await missing_anywhere(graph, saver, config)
    if not lost:
        return
    where = " and ".join(
        f"checkpoint {place} waits for {' and '.join(words)}" for place, words in lost.items()
    )
    raise NodeGone(
        f"The code of graph {name!r} has changed: {where}, which it does not have. Deploy code that still has it "
        "and run the thread without input, or update the thread's state or fork an earlier checkpoint.",
        open_interrupts(await saver.aget_tuple(root_of(config))),
    )


def open_interrupts(found: CheckpointTuple | None) -> dict[str, list[Interrupt]]:
    """The interrupts that wait at a checkpoint, by task id; the task's node need not exist."""
    writes = (found.pending_writes or ()) if found else ()
    return {task_id: list(asked) for task_id, channel, asked in writes if channel == INTERRUPT}
