"""Which interrupts of a thread still wait for an answer. Pure: no Django, no database.

A subgraph's interrupt is stored with the subgraph's task and with each task above it, but only the
subgraph uses the answer. If the subgraph then continues, and the attempt ends before the tasks
above do, these still show the interrupt. So an interrupt waits only if the innermost namespace asks
it. The same holds for tasks that a function calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: LangGraph's path of a task that is triggered by a node's channels (`task_path_str`).
PULLED = "~__pregel_pull, "
#: LangGraph's path of a task that another task calls; the caller's path follows.
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
    #: Whether the checkpoint is its namespace's newest.
    newest: bool = True

    @property
    def pending(self) -> bool:
        """Whether the task is still to be executed."""
        return self.newest and not self.finished


def waiting(asked: Iterable[Asked], namespaces: Collection[str]) -> Mapping[Asked, tuple[str, ...]]:
    """Return the interrupts of each task that wait for an answer.

    Args:
        asked: The tasks with interrupts, of all checkpoints.
        namespaces: All namespaces of the thread that have a checkpoint.
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
    """The interrupts of a task that calls others: those of its own that a task below still asks.

    If there are none, the tasks below have moved on, and their current interrupts are returned. If
    no task below asks, the task asked by itself, or was cut off on its way there and is asked
    again.
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
    """Whether the function of this task called the other one, at any depth."""
    return _step(task) == _step(other) and f"{PUSHED}{task.task_path}, " in other.task_path


def _step(task: Asked) -> tuple[str, str]:
    return task.namespace, task.checkpoint_id


def _caller(path: str) -> str:
    """The path of the task that called the task of this path."""
    return path.removeprefix(PUSHED).rsplit(", ", 2)[0]


def _enters(task: Asked, namespace: str) -> bool:
    """Whether a task executes the subgraph of this namespace."""
    if any(segment.endswith(f":{task.task_id}") for segment in namespace.split("|")):
        return True
    # A subgraph with a persistent state of its own has only the node's name.
    name = task.task_path.removeprefix(PULLED)
    place = f"{task.namespace}|{name}" if task.namespace else name
    plain = "|".join(segment.split(":", 1)[0] for segment in place.split("|"))
    return namespace in (place, plain) or namespace.startswith((f"{place}|", f"{plain}|"))
