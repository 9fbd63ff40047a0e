"""LangGraph's loop, corrected where a later attempt would continue differently from the one before
it.

The rules are those of `runs.execution.resume`. They must hold for every graph at any depth,
including graphs that a node calls itself, so they are applied where each loop begins:
`PregelLoop._first` of LangGraph 1.2, which has no public hook. Loops whose saver is not an
`AttemptWriter` are not changed. `tests/runs/execution/test_loops.py` fails when LangGraph changes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import (
    CONFIG_KEY_CHECKPOINT_MAP,
    CONFIG_KEY_RESUME_MAP,
    CONFIG_KEY_RESUMING,
    TASKS,
)
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.errors import GraphInterrupt
from langgraph.pregel._algo import should_interrupt
from langgraph.pregel._loop import PregelLoop
from langgraph.types import Command, _interrupt_id

from runs.conf import settings
from runs.execution.results import saved_writes
from runs.execution.resume import INTERRUPT, NULL_TASK, RESUME, Resumption, Task, executed_nodes
from runs.models import Run
from runs.requests.answers import is_answer_map
from threads.checkpoints import ThreadWriter
from threads.checkpoints.storage import addressed
from threads.db.database import in_database
from threads.state.interrupts import asked_rows, read_asked
from threads.state.unanswered import waiting


class AttemptWriter(ThreadWriter):
    """The saver of one attempt; it also decides how the attempt's graphs begin."""

    resumption = Resumption(later=False)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        found = await super().aget_tuple(config)
        place = config["configurable"]
        if found and self.resumption.before and place.get("checkpoint_ns") and not place.get("checkpoint_id"):
            found = found if self.is_ours(found) else await self._remembered(place)
        # Only a loop's step executes nodes. An input's step marks the nodes that it discards as seen.
        executed = found is not None and (found.metadata or {}).get("source") == "loop"
        if found is not None and executed and self.resumption.later and self.is_ours(found):
            parent = await super().aget_tuple(found.parent_config) if found.parent_config else None
            before: Any = parent.checkpoint if parent else {}
            sends = before["channel_values"].get(TASKS, ()) if before else ()
            nodes = executed_nodes(before, found.checkpoint, sends)
            self.resumption.executed[found.checkpoint["id"]] = nodes
        return found

    async def _remembered(self, place: dict[str, Any]) -> CheckpointTuple | None:
        """The newest checkpoint of a subgraph from before the checkpoint that the run continues
        from.
        """
        own: Any = {"configurable": {name: place[name] for name in ("thread_id", "checkpoint_ns")}}
        bound: Any = {"configurable": {"checkpoint_id": self.resumption.before}}
        async for found in self.alist(own, before=bound, limit=1):
            self.note(found)
            return found
        return None

    async def origin(self, checkpoint: Mapping[str, Any] | None) -> str | None:
        """The checkpoint before which the subgraphs of a replay are looked up; LangGraph's
        `ReplayState`.
        """
        named = checkpoint or {}
        in_subgraph = bool(named.get("checkpoint_ns"))
        checkpoint_id = (
            (named.get("checkpoint_map") or {}).get("") if in_subgraph else named.get("checkpoint_id")
        )
        if checkpoint_id is None:
            return None
        place: Any = {
            "configurable": {
                "thread_id": str(self._thread_id),
                "checkpoint_ns": "",
                "checkpoint_id": checkpoint_id,
            }
        }
        found = await super().aget_tuple(place)
        if found and found.parent_config and (found.metadata or {}).get("source") in ("update", "fork"):
            return str(found.parent_config["configurable"]["checkpoint_id"])
        return str(checkpoint_id)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if saved := saved_writes(writes):
            await super().aput_writes(config, saved, task_id, task_path)

    def asked_in(self, row: Sequence[Any]) -> list[str]:
        """The ids of the interrupts in a row of a snapshot."""
        asked = self.serde.loads_typed((row[6], base64.b64decode(row[7])))
        return [each.id for each in (asked if isinstance(asked, list | tuple) else [asked])]

    async def remove_leftovers(self, run: Run) -> None:
        """Remove what an interrupted attempt has left, before the run starts again from the
        beginning.
        """
        places = addressed(run.kwargs.get("checkpoint"))
        await self._storage.remove_run(run.thread_id, run.id, epoch=run.epoch, writes=run.base, also=places)

    async def withdraw_used_interrupts(self) -> None:
        """Remove the interrupts of tasks whose answers a subgraph below them has used."""
        rows, namespaces = await in_database(asked_rows, self._thread_id, file=settings.CHECKPOINTS_FILE)
        tasks, interrupts = read_asked(rows, self.serde)
        for task, ids in waiting(tasks, namespaces).items():
            if ids != task.ids:
                place = {"checkpoint_ns": task.namespace, "checkpoint_id": task.checkpoint_id}
                kept = [interrupts[each] for each in ids]
                await super().aput_writes(
                    {"configurable": place}, [(INTERRUPT, kept)], task.task_id, task.task_path
                )


class _Node:
    """A task as `should_interrupt` sees it."""

    config = None

    def __init__(self, name: str) -> None:
        self.name = name


_original_first = PregelLoop._first


def _first(loop: Any, **arguments: Any) -> Any:
    writer = loop.checkpointer
    if not isinstance(writer, AttemptWriter):
        return _original_first(loop, **arguments)
    _start_over(loop, writer)
    _correct_answers(loop, writer.resumption)
    keep = writer.resumption.later and loop._loaded_latest and writer.made(loop.checkpoint["id"])
    if not keep:
        return _original_first(loop, **arguments)
    seen = loop.checkpoint["versions_seen"]
    before = dict(seen[INTERRUPT]) if INTERRUPT in seen else None
    if loop.interrupt_after:
        nodes = [_Node(name) for name in writer.resumption.stands_after(loop.checkpoint["id"])]
        if should_interrupt(loop.checkpoint, loop.interrupt_after, nodes):  # type: ignore[arg-type]
            loop.tick = partial(_stop, loop)
    updated = _original_first(loop, **arguments)
    seen = loop.checkpoint["versions_seen"]
    if before is None:
        seen.pop(INTERRUPT, None)
    else:
        seen[INTERRUPT] = before
    return updated


def _stop(loop: Any) -> bool:
    """The first tick of a loop whose head is at a breakpoint after its last step."""
    loop.status = "interrupt_after"
    loop._prepare_tasks_and_emit_checkpoint()
    raise GraphInterrupt


def _start_over(loop: Any, writer: AttemptWriter) -> None:
    """Give a subgraph its input if the task that calls it is new, even if LangGraph would resume
    it.
    """
    configurable = loop.config["configurable"]
    if not loop.is_nested or not loop._loaded_latest:
        return
    parents = list((configurable.get(CONFIG_KEY_CHECKPOINT_MAP) or {}).values())
    if not parents:
        return
    if writer.resumption.starts_over(
        head=loop.checkpoint["id"] if loop._has_persisted_parent else None,
        parent=parents[-1],
        parent_is_ours=writer.made(parents[-1]),
        resuming=configurable.get(CONFIG_KEY_RESUMING),
    ):
        loop.config = {**loop.config, "configurable": {**configurable, CONFIG_KEY_RESUMING: False}}


def _correct_answers(loop: Any, resumption: Resumption) -> None:
    """Drop stored answers that were used, or that new ones replace."""
    sent = loop.config["configurable"].get(CONFIG_KEY_RESUME_MAP)
    if sent is None and isinstance(loop.input, Command) and is_answer_map(loop.input.resume):
        sent = loop.input.resume
    writes = loop.checkpoint_pending_writes
    if resumption.hides_plain_answer():
        writes = [each for each in writes if (each[0], each[1]) != (NULL_TASK, RESUME)]
    if sent or _answers_older(loop, resumption):
        writes = [each if each[1] != RESUME else _kept(loop, resumption, sent, each) for each in writes]
    loop.checkpoint_pending_writes = writes


def _answers_older(loop: Any, resumption: Resumption) -> bool:
    """Whether a plain answer is for an interrupt of an older checkpoint, where another answer may
    be stored.
    """
    if loop.is_nested or loop._loaded_latest or not isinstance(loop.input, Command):
        return False
    resume = loop.input.resume
    return resumption.found.plain or (resume is not None and not is_answer_map(resume))


def _kept(loop: Any, resumption: Resumption, sent: dict[str, Any] | None, write: Any) -> Any:
    task_id, channel, given = write
    if task_id == NULL_TASK:
        return write
    given = given if isinstance(given, list) else [given]
    shown = {
        each.id
        for owner, name, asked in loop.checkpoint_pending_writes
        if owner == task_id and name == INTERRUPT
        for each in (asked if isinstance(asked, list | tuple) else [asked])
    }
    namespace = "|".join(loop.checkpoint_ns)
    task = Task(namespace, loop.checkpoint["id"], task_id)
    for name in loop.nodes:
        place = f"{namespace}|{name}:{task_id}" if namespace else f"{name}:{task_id}"
        ids = [_interrupt_id(place, number) for number in range(len(given))]
        kept = resumption.kept_answers(task, shown, ids, sent or shown)
        if kept < len(given):
            return (task_id, channel, given[:kept])
    return write


def install() -> None:
    """Correct LangGraph's loop in this process."""
    PregelLoop._first = _first  # type: ignore[method-assign, assignment]


install()
