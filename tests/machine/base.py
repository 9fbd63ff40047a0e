"""The machine without its rules: its expectations, and the invariants after every step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from runs.events import table
from runs.models import Run
from tests.machine import history
from tests.machine.sight import Row, Sight
from tests.machine.site import Site
from tests.machine.workers import Attempt, Process
from threads.db.ids import new_id

T = TypeVar("T")

MAX_ATTEMPTS = 2
picks = st.integers(0, 7)
slots = st.integers(0, 1)
actions = st.sampled_from(["interrupt", "rollback"])


@dataclass
class Reader:
    """A client that follows a run and remembers its position."""

    position: tuple[int, int] = table.START
    seen: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Ground:
    """A thread's state before a run began."""

    head: str | None
    writes: list[tuple[Any, ...]]
    log: list[str]


def pick(candidates: list[T], number: int) -> T:
    return candidates[number % len(candidates)]


class Base(RuleBasedStateMachine):
    site: ClassVar[Site]

    def __init__(self) -> None:
        super().__init__()
        self.site.empty()
        self.slots: list[Process | None] = [None] * (2 if self.site.postgres else 1)
        self.threads = [new_id(), new_id()]
        self.numbers = itertools.count(1)
        #: All accepted runs, with the tokens of their inputs.
        self.accepted: dict[str, str | None] = {}
        #: Runs that may be missing: rolled back or deleted.
        self.removed: set[str] = set()
        #: Answer -> its interrupt.
        self.answers: dict[str, str | None] = {}
        #: (thread, interrupt id, value) of all interrupts that a client saw.
        self.shown: list[tuple[UUID, str, str]] = []
        self.grounds: dict[str, Ground] = {}
        self.readers: dict[str, Reader] = {}
        self.now = self.site.eyes.look()
        self.sound = True

    # --- helpers

    @contextmanager
    def doing(self, moves: dict[str, set[str]] | None = None, *, together: bool = False) -> Iterator[Sight]:
        """A step: yields the previous picture; afterwards all invariants are checked.

        Args:
            moves: The moves that the step may make, by run; rules may add to it during the step.
            together: Whether two operations are concurrent, so that a run may move twice.
        """
        self.sound = False
        yield self.now
        before, self.now = self.now, self.site.eyes.look()
        history.sound(self.now)
        history.lawful(before, self.now, None if together else moves or {})
        self.check_accepted()
        for thread_id in self.threads:
            self.check_thread(thread_id, before, {"": {"deleted"}} if together else moves or {})
        assert not self.site.complaints.lines, "\n".join(self.site.complaints.lines)
        self.sound = True

    def run(self, coroutine: Any) -> Any:
        return self.site.loop.run(coroutine)

    def number(self, letter: str) -> str:
        return f"{letter}{next(self.numbers)}"

    def awake(self) -> list[Process]:
        return [each for each in self.slots if each is not None and not each.frozen]

    def attempts(self, *, ended: bool) -> list[tuple[Process, Attempt]]:
        return [
            (process, attempt)
            for process in self.awake()
            for attempt in process.attempts.values()
            if attempt.ended == ended
        ]

    def executor(self, number: int) -> Process | None:
        """A process that claims a run at its admission; None for a number beyond the slots."""
        process = self.slots[number] if number < len(self.slots) else None
        return None if process is None or process.frozen or process.draining else process

    def owns(self, attempt: Attempt) -> bool:
        """Whether an attempt still owns its run, according to the database."""
        run = self.now.runs.get(attempt.run_id)
        return run is not None and run["status"] == "running" and run["epoch"] == attempt.run.epoch

    def asked_to_stop(self, attempt: Attempt) -> bool:
        return self.now.runs[attempt.run_id]["cancel_action"] != ""

    def having(self, status: str) -> list[Row]:
        return [run for run in self.now.runs.values() if run["status"] == status]

    def current(self) -> Any:
        """The time in this database's format."""
        now = datetime.now(UTC)
        return now if self.site.postgres else now.replace(tzinfo=None).isoformat(" ")

    def execute(self, process: Process, runs: list[Run], before: Sight) -> None:
        for run in runs:
            if run.attempt == 1:
                thread_id = run.thread_id.hex
                head = before.head(thread_id)
                self.grounds[run.id.hex] = Ground(
                    head and head["id"], before.head_writes(thread_id), before.log(thread_id)
                )
            self.run(process.execute(run))

    # --- invariants beyond single pictures

    def check_accepted(self) -> None:
        """I3, I4, I5: an accepted run exists.

        Its input is in the state once; answers match their interrupts.
        """
        for run_id, token in self.accepted.items():
            run = self.now.runs.get(run_id)
            if run is None:
                assert run_id in self.removed, f"Run {run_id} was accepted and is gone."
            elif run["status"] == "success" and token is not None:
                assert f"in:{token}" in self.now.log(run["thread_id"]), f"The input of {token} is lost."
        for thread_id in self.now.threads:
            for word in self.now.log(thread_id):
                question, _, answer = word.partition("=")
                if answer:
                    assert self.answers[answer] == question, f"{word}: given for {self.answers[answer]}"

    def check_thread(self, thread_id: UUID, before: Sight, moves: history.Moves) -> None:
        """A thread that a run's end made idle shows exactly its checkpoints' interrupts."""
        thread = self.now.threads.get(thread_id.hex)
        if thread is None:
            return
        for interrupt_id, question in self.now.questions(thread_id.hex):
            if (thread_id, interrupt_id, question) not in self.shown:
                self.shown.append((thread_id, interrupt_id, question))
        was = before.threads.get(thread_id.hex)
        deleted = any("deleted" in ways for ways in moves.values())
        # The remains of a deleted run's owner are not known for sure.
        if thread["status"] == "busy" or deleted or (was is not None and was["status"] != "busy"):
            return
        asked, left = self.site.asked(thread_id)
        assert set(self.now.questions(thread_id.hex)) == asked, "A thread shows other questions than it asks."
        if thread["status"] == "error":
            return
        assert thread["status"] == "interrupted" or not (asked or left), (
            "A thread hides that it has steps left."
        )
        if any("settled" in ways for ways in moves.values()):
            # A process that ends another's run reports remaining steps to be safe; the run's owner knows.
            assert thread["status"] == "idle" or asked or left, (
                "An interrupted thread has nothing left to do."
            )


def same(before: Sight, now: Sight) -> bool:
    """Whether only workers changed."""
    return (before.runs, before.threads, before.events, before.checkpoints, before.writes) == (
        now.runs, now.threads, now.events, now.checkpoints, now.writes,
    )  # fmt: skip
