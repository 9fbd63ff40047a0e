"""Two concurrent functions: the second begins before a given statement of the first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from runs.events import table
from runs.exceptions import RunsError
from runs.identity.principals import Principal
from runs.lifecycle import cancellation, claims
from runs.lifecycle.admission import admit
from runs.lifecycle.outcomes import Ending
from runs.lifecycle.reconcile import reconcile
from runs.lifecycle.settlement import Ended, settle
from runs.requests.run import RunRequest
from tests.machine.base import Base, pick, picks
from tests.machine.graph import given

KINDS = ("admit", "claim", "cancel", "delete", "reconcile", "settle", "flush")

#: An operation, and its checks after both have ended.
Deed = tuple[Callable[[], Any], Callable[[], None]]


class Races(Base):
    @precondition(lambda self: self.site.postgres and self.now.runs)
    @rule(
        first=st.sampled_from(KINDS),
        second=st.sampled_from(KINDS),
        numbers=st.tuples(picks, picks),
        statement=st.integers(0, 7),
    )
    def race(self, first, second, numbers, statement) -> None:
        deeds = [self.deed(kind, number) for kind, number in zip((first, second), numbers, strict=True)]
        if None in deeds or (first == second == "settle"):
            return
        with self.doing(together=True):
            self.site.rival.race(deeds[0][0], deeds[1][0], statement=statement)
            for _, after in deeds:
                after()

    def deed(self, kind: str, number: int) -> Deed | None:
        found: Deed | None = getattr(self, f"to_{kind}")(number)
        if found is None:
            return None
        call, after = found

        def politely() -> None:
            # A late operation is refused, which is under test.
            with suppress(RunsError):
                call()

        return politely, after

    def to_admit(self, number: int) -> Deed:
        token = self.number("r")
        strategy = ("enqueue", "reject", "interrupt", "rollback")[number % 4]
        thread = self.threads[number // 4]
        process = self.executor(number % 3)
        request = RunRequest(
            assistant_id="life", input=given(token, "sa"), if_not_exists="create", multitask_strategy=strategy
        )
        made: list[Any] = []

        def call() -> None:
            worker_id = process.worker_id if process else None
            made.append(
                admit(request, principal=Principal(self.site.user_id), thread_id=thread, worker_id=worker_id)
            )

        def after() -> None:
            for each in made:
                self.accepted[each.run.id.hex] = token
                self.removed |= {run_id.hex for run_id in each.removed}
                if each.claimed:
                    self.execute(process, [each.run], self.now)

        return call, after

    def to_claim(self, number: int) -> Deed | None:
        ready = [each for each in self.awake() if not each.draining]
        if not ready:
            return None
        process = pick(ready, number)
        made: list[Any] = []
        return (
            lambda: made.extend(claims.claim(process.worker_id, limit=2)),
            lambda: self.execute(process, made, self.now),
        )

    def to_cancel(self, number: int) -> Deed:
        run_id = pick(list(self.now.runs)[::-1], number // 2)
        action = ("interrupt", "rollback")[number % 2]
        made: list[Any] = []
        return (
            lambda: made.append(cancellation.cancel(UUID(run_id), action=action)),
            lambda: self.removed.update([run_id] if made == [cancellation.REMOVED] else []),
        )

    def to_delete(self, number: int) -> Deed:
        run = pick(list(self.now.runs.values())[::-1], number)
        where: dict[str, Any] = {
            "thread_id": UUID(run["thread_id"]),
            "principal": Principal(self.site.user_id),
        }
        return lambda: cancellation.delete(UUID(run["id"]), **where), lambda: self.removed.add(run["id"])

    def to_reconcile(self, number: int) -> Deed:
        action = ("auto", "resume", "error")[number % 3]
        return lambda: reconcile(action=action), lambda: None

    def to_settle(self, number: int) -> Deed | None:
        lost = (Ending.ROLLED_BACK, Ending.LOST)
        ready = [each for each in self.attempts(ended=True) if each[1].outcome.ending not in lost]
        if not ready:
            return None
        process, attempt = pick(ready, number)
        part, shown = attempt.stream.with_last(attempt.outcome.events)
        count = attempt.stream.count + len(shown)
        return (
            lambda: settle(Ended(attempt.run, attempt.outcome, part, count)),
            lambda: process.forget(attempt),
        )

    def to_flush(self, number: int) -> Deed | None:
        ready = self.attempts(ended=False)
        if not ready:
            return None
        _, attempt = pick(ready, number)
        part = attempt.stream.unwritten()
        made: list[Any] = []
        return (
            lambda: made.extend(table.append([part], now=datetime.now(UTC))) if part.events else None,
            lambda: attempt.stream.wrote(part.events[-1].seq) if made else None,
        )
