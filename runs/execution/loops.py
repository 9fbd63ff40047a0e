"""LangGraph's loop, corrected where a later attempt would continue differently from the one before it.

The rules are those of `runs.execution.resume`. They must hold for every graph at any depth, also for one that a node
calls by itself, so they are applied where each loop begins: `PregelLoop._first` of LangGraph 1.2, which has no public hook.
Loops whose saver is no `AttemptWriter` are left alone. `tests/runs/execution/test_loops.py` fails when LangGraph changes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from langgraph._internal._constants import (
    CONFIG_KEY_CHECKPOINT_MAP,
    CONFIG_KEY_RESUME_MAP,
    CONFIG_KEY_RESUMING,
)
from langgraph.errors import GraphInterrupt
from langgraph.pregel._algo import prepare_next_tasks, should_interrupt
from langgraph.pregel._loop import PregelLoop
from langgraph.types import Command, _interrupt_id

from runs.execution import channels, pace
from runs.execution.attempt_writer import AttemptWriter
from runs.execution.resume import INTERRUPT, NULL_TASK, RESUME, Resumption, Task
from runs.requests.answers import is_answer_map

#: Modules that import the writer from here have corrected loops.
__all__ = ["AttemptWriter"]


class _Node:
    """A task as `should_interrupt` looks at it."""

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
    """Give a subgraph its input if the task that calls it is new, whatever LangGraph says about resuming."""
    configurable = loop.config["configurable"]
    if not loop.is_nested or not loop._loaded_latest:
        return
    parents = list((configurable.get(CONFIG_KEY_CHECKPOINT_MAP) or {}).values())
    if not parents:
        return
    older = writer.resumption.is_older(
        head=loop.checkpoint["id"] if loop._has_persisted_parent else None,
        parent=parents[-1],
        resuming=configurable.get(CONFIG_KEY_RESUMING),
    )
    # After an edit, a subgraph continues with what it was doing.
    if older and (not writer.edited(parents[-1]) or ended(loop)):
        loop.config = {**loop.config, "configurable": {**configurable, CONFIG_KEY_RESUMING: False}}


def ended(loop: Any) -> bool:
    """Whether a graph has no task left."""
    return not prepare_next_tasks(
        loop.checkpoint,
        loop.checkpoint_pending_writes,
        loop.nodes,
        loop.channels,
        loop.managed,
        loop.config,
        loop.step,
        loop.stop,
        for_execution=False,
    )


def _correct_answers(loop: Any, resumption: Resumption) -> None:
    """Leave out stored answers that were used, or that new ones replace."""
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
    """Whether a plain answer is for what an older checkpoint asks, where another answer may be stored."""
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
    channels.install()
    pace.install()


install()
