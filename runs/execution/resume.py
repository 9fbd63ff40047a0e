"""How an attempt resumes: what its graph is given, decided from what is stored.

Pure: no Django, no database.

Neither `None` nor the original input is right at every point where an attempt may end (durability
§2.2, §2.3). An attempt continues as the previous one would have, had it not ended. Per graph and
subgraph, the *head* is the newest checkpoint of its namespace, and it is *ours* if its metadata
names this run.

What the root graph is invoked with (`source`):

| attempt | root's head | the run has | it is given |
|---|---|---|---|
| first | any | input or command | the same; of answers by id only those to waiting interrupts |
| later | ours | any | `None`: it continues from its head |
| later | another's | input | the input again: nothing of it has landed |
| later | another's | command, `update` and `goto` have not landed | the command again |
| later | another's | command, `update` and `goto` have landed | only its answers: LangGraph applies what landed |
| later | another's | a plain answer that has landed, or was used | an empty map of answers: LangGraph finds what landed with the checkpoint |
| later | another's | `durability: exit` | the same as the first attempt; writes of an attempt that crashed at its end are removed first |
| later | another's | an answer that its task has used | everything but that answer: the task's later interrupts would accept it |

What each graph and subgraph finds when it begins (`Resumption`, applied by `runs.execution.loops`):

| case | rule |
|---|---|
| later attempt, head ours | the saved breakpoint versions are kept: a breakpoint at this head was reached by this run, and stops it again |
| the same, and the step before the head executed a node of `interrupt_after` | the graph stops before anything else executes |
| a task failed after it took an answer, and is answered again | the new answer replaces the old one |
| an older checkpoint is answered whose tasks have taken other answers since | the same |
| a stored plain answer is an earlier run's, or was used since this run began | it is hidden, because LangGraph gives a stored plain answer to every interrupt |
| the run continues from an earlier checkpoint, and a subgraph's head is another's | the subgraph's memory is the one from before that checkpoint |
| the run continues from a subgraph's checkpoint, and the subgraph's head is another's | the subgraph continues from that checkpoint, also when the root's head is ours |
| a subgraph's head is older than its parent's, and no edit made the parent's, or the subgraph is at its end | the task is new: the subgraph gets its input, and does not resume |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langgraph.constants import START
from langgraph.types import Command, Send

from runs.requests.answers import is_answer_map, is_plain_answer

#: LangGraph's names (`langgraph._internal._constants`).
NULL_TASK = "00000000-0000-0000-0000-000000000000"
RESUME, INTERRUPT = "__resume__", "__interrupt__"


class Task(NamedTuple):
    """The address of a task's pending writes."""

    namespace: str
    checkpoint_id: str
    task_id: str


@dataclass(frozen=True, slots=True)
class Landed:
    """What earlier attempts of a run have added to checkpoints that existed before the run."""

    #: Whether its command's `update` and `goto` are stored.
    command: bool = False
    #: Whether its plain answer is stored.
    plain: bool = False
    #: Tasks that have used answers since the run began.
    answered: frozenset[Task] = frozenset()
    #: The interrupts that those tasks asked when the run began.
    used: frozenset[str] = frozenset()


def landed(
    now: Sequence[Sequence[Any]],
    base: Sequence[Sequence[Any]] | None,
    *,
    asked: Callable[[Sequence[Any]], Iterable[str]],
) -> Landed:
    """Compare the pending writes with those from before the run.

    Args:
        asked: Returns the ids of the interrupts in a row.
        now: Rows of a storage's snapshot: namespace, checkpoint id, task id, index, path, channel, type, value.
        base: The same rows from before the run's first write to an existing checkpoint; None if
            there was no such write.
    """
    if base is None:
        return Landed()
    before = {(*row[:3], row[5]): row[6:] for row in base}
    new = [row for row in now if before.get((*row[:3], row[5])) != row[6:]]
    given = [row for row in now if row[0] == "" and row[2] == NULL_TASK and row[5] != RESUME]
    given_before = [row for row in base if row[0] == "" and row[2] == NULL_TASK and row[5] != RESUME]
    answered = frozenset(Task(*row[:3]) for row in new if row[5] == RESUME and row[2] != NULL_TASK)
    before_run = [row for row in base if row[5] == INTERRUPT and Task(*row[:3]) in answered]
    return Landed(
        command=len(given) > len(given_before),
        plain=any(row[2] == NULL_TASK and row[5] == RESUME for row in new),
        answered=answered,
        used=frozenset(each for row in before_run for each in asked(row)),
    )


def source(
    kwargs: Mapping[str, Any],
    *,
    begun: bool,
    waiting: Collection[str] = (),
    found: Landed = Landed(),
) -> Any:
    """Return what the root graph is invoked with, by the first table above.

    Args:
        begun: Whether the root's head is this run's.
        waiting: The ids of the interrupts that the thread's state shows.
    """
    if begun:
        return None
    command = kwargs.get("command")
    if command is None:
        return kwargs.get("input")
    if found.command:
        command = {"resume": command.get("resume")}
    waiting = set(waiting) - found.used
    if (found.plain or found.answered) and is_plain_answer(command):
        # Without any answer, LangGraph would treat a checkpoint that the run names as a fork, and drop its
        # pending writes.
        command = {**command, "resume": {}}
    # An empty command continues from the thread's present state. LangGraph raises an UnboundLocalError for it
    # (1.2.22).
    return to_command(command, waiting) if _says_something(command) else None


def _says_something(command: Mapping[str, Any]) -> bool:
    return bool(command.get("resume") is not None or command.get("update") or command.get("goto"))


def to_command(command: Mapping[str, Any], waiting: Collection[str] = ()) -> Command[Any]:
    """LangGraph's form of a client's command. Answers by id to interrupts that do not wait are left
    out.
    """
    update = command.get("update")
    if isinstance(update, list):
        # LangGraph takes a list of lists for the value of the root channel, and drops it.
        update = [tuple(pair) for pair in update]
    resume = command.get("resume")
    if is_answer_map(resume):
        resume = {key: answer for key, answer in resume.items() if key in waiting}  # type: ignore[union-attr]
    return Command(update=update, resume=resume, goto=_goto(command.get("goto")))


def _goto(goto: Any) -> Any:
    if goto is None:
        return ()
    if isinstance(goto, Sequence) and not isinstance(goto, str):
        return [_goto(each) for each in goto]
    return Send(goto["node"], goto.get("input")) if isinstance(goto, Mapping) else goto


@dataclass(slots=True)
class Resumption:
    """How the graphs and subgraphs of one attempt begin, by the second table above."""

    #: Whether an earlier attempt may have left something.
    later: bool
    found: Landed = field(default_factory=Landed)
    #: For a run that continues from an earlier checkpoint: the checkpoint before which its subgraphs'
    #: memories are looked up.
    before: str | None = None
    #: The nodes that the step before a head of ours executed, by the head's id.
    executed: dict[str, frozenset[str]] = field(default_factory=dict)

    def hides_plain_answer(self) -> bool:
        """Whether a stored plain answer is another run's, or was used."""
        return not self.found.plain or bool(self.found.answered)

    def stands_after(self, checkpoint_id: str) -> frozenset[str]:
        """The nodes that were executed in the step before a head that an earlier attempt of this
        run left.
        """
        return self.executed.get(checkpoint_id, frozenset())

    def is_older(self, *, head: str | None, parent: str, resuming: bool | None) -> bool:
        """Whether LangGraph would resume what a subgraph did for an earlier task than the one that
        calls it now.

        Args:
            head: The id of the subgraph's head; ids increase with time.
            parent: The id of the checkpoint whose task calls it.
        """
        return bool(resuming) and head is not None and head < parent

    def kept_answers(
        self, task: Task, shown: Collection[str], ids: Sequence[str], sent: Collection[str]
    ) -> int:
        """How many of a task's stored answers are still valid; a new answer replaces the first one
        that is not.

        Args:
            shown: The ids of the interrupts that the task raised last.
            ids: The ids of the interrupts that the stored answers are for, in order.
            sent: The ids of the interrupts that the run answers.
        """
        if task in self.found.answered:
            return len(ids)
        # The task failed after it took the answer and asks again, or its checkpoint is answered a second
        # time.
        again = (number for number, name in enumerate(ids) if name in sent and name in shown)
        return next(again, len(ids))


def executed_nodes(
    before: Mapping[str, Any], after: Mapping[str, Any], sends: Sequence[Any]
) -> frozenset[str]:
    """The nodes that were executed between two checkpoints of a namespace.

    There is one step between them. With `durability: exit` there are all steps since the run began,
    of which only the last can have executed a node of `interrupt_after`, because the run would have
    stopped there.

    Args:
        before: The earlier checkpoint; empty if there is none.
        after: The later one.
        sends: The `Send`s that waited at the earlier one.
    """
    old, versions = before.get("versions_seen", {}), before.get("channel_versions", {})
    new = {name: _changes(old.get(name, {}), seen) for name, seen in after["versions_seen"].items()}
    if new.get(START):
        # An input came first. It discards the waiting nodes, and marks them as seen in the versions of that
        # time.
        return frozenset(name for name, seen in new.items() if _changes(versions, seen))
    return frozenset(name for name, seen in new.items() if seen) | {
        each.node for each in sends if isinstance(each, Send)
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: version for name, version in after.items() if version != before.get(name)}
