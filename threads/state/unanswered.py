"""Which interrupts a thread still asks. Pure: no Django, no database.

A subgraph's interrupt is stored with the subgraph's task and with each task above it, but its answer is used in the
subgraph alone. If the subgraph then goes on and the attempt ends before the tasks above it do, they still show the
interrupt. It waits only if the innermost namespace asks it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: How LangGraph writes the path of a task that a node's channels trigger (`task_path_str`).
PULLED = "~__pregel_pull, "


@dataclass(frozen=True, slots=True)
class Asked:
    """The interrupts of one task of a checkpoint, and whether the task has a result."""

    namespace: str
    checkpoint_id: str
    task_id: str
    task_path: str
    ids: tuple[str, ...]
    finished: bool = False
    #: Whether the checkpoint is the newest of its namespace.
    newest: bool = True


def waiting(asked: Iterable[Asked], namespaces: Collection[str]) -> Mapping[Asked, tuple[str, ...]]:
    """Return the interrupts of each task that wait for an answer.

    Args:
        asked: The tasks with interrupts, of all checkpoints.
        namespaces: Every namespace of the thread that has a checkpoint.
    """
    asked = list(asked)
    innermost = [each for each in asked if not any(_calls(each, namespace) for namespace in namespaces)]
    live = [each for each in innermost if each.newest and not each.finished]
    gone = {name for each in innermost for name in each.ids} - {name for each in live for name in each.ids}
    return {
        each: each.ids if each in innermost else _passed_up(each, live, gone)
        for each in asked
        if each.newest and not each.finished
    }


def _passed_up(task: Asked, live: Iterable[Asked], gone: Collection[str]) -> tuple[str, ...]:
    """What a task with subgraphs asks: what is asked below it, in the order in which it showed that.

    Where nothing is asked below, it has asked by itself, or was cut off on its way there, and is asked again.
    """
    below = [name for each in live if _calls(task, each.namespace) for name in each.ids]
    if not below:
        return tuple(name for name in task.ids if name not in gone)
    kept = [name for name in task.ids if name in below]
    return (*kept, *(name for name in below if name not in kept))


def _calls(task: Asked, namespace: str) -> bool:
    """Whether a task has a subgraph of this namespace."""
    if any(segment.endswith(f":{task.task_id}") for segment in namespace.split("|")):
        return True
    # A subgraph with a memory of its own has the node's name alone.
    name = task.task_path.removeprefix(PULLED)
    place = f"{task.namespace}|{name}" if task.namespace else name
    plain = "|".join(segment.split(":", 1)[0] for segment in place.split("|"))
    return namespace in (place, plain) or namespace.startswith((f"{place}|", f"{plain}|"))
