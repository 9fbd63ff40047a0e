"""Which interrupts a thread still asks. Pure: no Django, no database.

A subgraph's interrupt is stored with the subgraph's task and with each task above it, but its answer is used in the
subgraph alone. If the subgraph then goes on and the attempt ends before the tasks above it do, they still show the
interrupt. It waits only if the innermost namespace asks it. So it is with the tasks that a function calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: How LangGraph writes the path of a task that a node's channels trigger (`task_path_str`).
PULLED = "~__pregel_pull, "
#: And that of a task that another one calls; the other's path follows.
PUSHED = "~__pregel_push, "


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

    @property
    def pending(self) -> bool:
        """Whether the task is still to be executed."""
        return self.newest and not self.finished


def waiting(asked: Iterable[Asked], namespaces: Collection[str]) -> Mapping[Asked, tuple[str, ...]]:
    """Return the interrupts of each task that wait for an answer.

    Args:
        asked: The tasks with interrupts, of all checkpoints.
        namespaces: Every namespace of the thread that has a checkpoint.
    """
    asked = list(asked)
    callers = {(*_step(each), _caller(each.task_path)) for each in asked if each.task_path.startswith(PUSHED)}
    innermost = [
        each
        for each in asked
        if (*_step(each), each.task_path) not in callers
        and not any(_enters(each, namespace) for namespace in namespaces)
    ]
    # With `exit`, a subgraph that has ended leaves its interrupts as they were.
    over = {each.task_id for each in asked if not each.pending}
    live = [each for each in innermost if each.pending and over.isdisjoint(_callers(each.namespace))]
    gone = {name for each in innermost for name in each.ids} - {name for each in live for name in each.ids}
    return {
        each: each.ids if each in innermost else _passed_up(each, live, gone)
        for each in asked
        if each.pending
    }


def _passed_up(task: Asked, live: Iterable[Asked], gone: Collection[str]) -> tuple[str, ...]:
    """What a task that calls others asks: of what it has shown, that which is still asked below it.

    If that is nothing, the tasks below have gone on to what they ask now. Where none of them asks, the task has asked by
    itself, or was cut off on its way there, and is asked again.
    """
    calls = [each for each in live if _enters(task, each.namespace) or _invokes(task, each)]
    below = [name for each in calls for name in each.ids]
    if not below:
        return tuple(name for name in task.ids if name not in gone)
    return tuple(name for name in task.ids if name in below) or tuple(below)


def _callers(namespace: str) -> set[str]:
    """The ids of the tasks whose subgraphs a namespace is in."""
    return {segment.partition(":")[2] for segment in namespace.split("|")}


def _invokes(task: Asked, other: Asked) -> bool:
    """Whether the other is a task of the function that this one is, at any depth."""
    return _step(task) == _step(other) and f"{PUSHED}{task.task_path}, " in other.task_path


def _step(task: Asked) -> tuple[str, str]:
    return task.namespace, task.checkpoint_id


def _caller(path: str) -> str:
    """The path of the task that calls one as a function does."""
    return path.removeprefix(PUSHED).rsplit(", ", 2)[0]


def _enters(task: Asked, namespace: str) -> bool:
    """Whether a task has a subgraph of this namespace."""
    if any(segment.endswith(f":{task.task_id}") for segment in namespace.split("|")):
        return True
    # A subgraph with a memory of its own has the node's name alone.
    name = task.task_path.removeprefix(PULLED)
    place = f"{task.namespace}|{name}" if task.namespace else name
    plain = "|".join(segment.split(":", 1)[0] for segment in place.split("|"))
    return namespace in (place, plain) or namespace.startswith((f"{place}|", f"{plain}|"))
