"""Faults of worker processes: crashes, pauses, lost leases, time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from runs.events import table
from runs.lifecycle.outcomes import Ending, Outcome
from runs.lifecycle.settlement import Ended, settle
from tests.machine.base import pick, picks, same, slots
from tests.machine.executing import Executing
from tests.machine.workers import Attempt, Process

ENDINGS = ("success", "error", "drained", "rolled back")
EXPIRE = "UPDATE runs_worker SET lease_expires_at = now() - interval '1 s' WHERE id = %s"


class Accidents(Executing):
    @precondition(lambda self: any(self.slots))
    @rule(slot=slots)
    def crash(self, slot) -> None:
        process = pick([each for each in self.slots if each is not None], slot)
        with self.doing():
            self.kill(process)

    def kill(self, process: Process) -> None:
        self.run(process.die())
        self.slots[self.slots.index(process)] = None

    @precondition(lambda self: self.attempts(ended=False))
    @rule(number=picks, fuse=st.integers(1, 4), lands=st.booleans())
    def crash_in_step(self, number, fuse, lands) -> None:
        """Crash at one of a step's writes: before it lands, or directly after it."""
        self.break_step(*pick(self.attempts(ended=False), number), fuse=fuse, lands=lands)

    def break_step(self, process: Process, attempt: Attempt, *, fuse: int, lands: bool) -> None:
        process.commits.fuse, process.commits.lands = fuse, lands
        owned = self.owns(attempt)
        with self.doing() as before:
            self.check_new(attempt, before)
            self.run(process.step(attempt))
            self.kill(process)
        assert owned or same(before, self.now)

    @precondition(lambda self: self.site.postgres and self.awake())
    @rule(slot=slots)
    def freeze(self, slot) -> None:
        self.run(pick(self.awake(), slot).freeze())

    @precondition(lambda self: self.site.postgres and self.attempts(ended=False))
    @rule(number=picks)
    def freeze_in_step(self, number) -> None:
        """Freeze a process between its writes: they are sent when it wakes up."""
        process, attempt = pick(self.attempts(ended=False), number)
        owned = self.owns(attempt)
        with self.doing() as before:
            self.run(process.freeze())
            self.run(process.step(attempt))
        # The snapshot for a rollback is written before the first checkpoint; everything else is held.
        assert (before.checkpoints, before.writes) == (self.now.checkpoints, self.now.writes)
        assert owned or same(before, self.now)

    @precondition(lambda self: any(each and each.frozen for each in self.slots))
    @rule()
    def wake(self) -> None:
        process = next(each for each in self.slots if each and each.frozen)
        owned = any(self.owns(attempt) for attempt in process.attempts.values())
        with self.doing() as before:
            self.run(process.wake())
        assert owned or same(before, self.now), "A process that lost its runs changed something."

    @precondition(lambda self: self.site.postgres and any(self.slots))
    @rule(slot=slots)
    def expire(self, slot) -> None:
        """A lease expires: the heartbeat is late or fails."""
        process = pick([each for each in self.slots if each is not None], slot)
        self.site.eyes.execute(EXPIRE, process.worker_id)
        self.now = self.site.eyes.look()

    @precondition(lambda self: self.site.postgres and self.having("running") and self.awake())
    @rule(
        number=picks, slot=slots, claims=st.sampled_from([True, True, False]), ending=st.sampled_from(ENDINGS)
    )
    def take_over(self, number, slot, claims, ending) -> None:
        """A run's owner loses its lease, and another process takes its runs.

        The owner does not know it yet.
        """
        run = pick(self.having("running"), number)
        others = [each for each in self.awake() if each.worker_id.hex != run["worker_id"]]
        if not others:
            return
        self.site.eyes.execute(EXPIRE, UUID(run["worker_id"]))
        self.now = self.site.eyes.look()
        other = pick(others, slot)
        self.recover(sole=True, process=other)
        if claims and not other.draining:
            self.let_claim(other, limit=3)
        for process, attempt in self.everything():
            if not self.owns(attempt):
                self.tamper(process, attempt, ending)

    @precondition(lambda self: any(not self.owns(attempt) for _, attempt in self.everything()))
    @rule(number=picks, ending=st.sampled_from(ENDINGS))
    def meddle(self, number, ending) -> None:
        """A process that lost a run tries every kind of write."""
        stale = [(process, attempt) for process, attempt in self.everything() if not self.owns(attempt)]
        self.tamper(*pick(stale, number), ending)

    def tamper(self, process: Process, attempt: Attempt, ending: str) -> None:
        part = attempt.stream.unwritten()
        with self.doing() as before:
            with suppress(Exception):
                settle(Ended(attempt.run, Outcome(Ending(ending)), part, 9))
            assert table.append([part], now=datetime.now(UTC)) == set()
            if self.site.postgres:
                with suppress(Exception):
                    run = attempt.run
                    self.run(process.storage.remove_run(run.thread_id, run.id, epoch=run.epoch, writes=[]))
        assert same(before, self.now), "A process that lost a run changed something."

    def everything(self) -> list[tuple[Process, Attempt]]:
        return [(each, attempt) for each in self.slots if each for attempt in each.attempts.values()]

    @precondition(lambda self: self.having("pending"))
    @rule()
    def time_passes(self) -> None:
        """200 seconds."""
        earlier = (
            "{0} - interval '200 s'"
            if self.site.postgres
            else "strftime('%Y-%m-%d %H:%M:%f', {0}, '-200 seconds')"
        )
        changes = ", ".join(f"{column} = {earlier.format(column)}" for column in ("due_at", "updated_at"))
        self.site.eyes.execute(f"UPDATE runs_run SET {changes} WHERE status IN ('pending', 'running')")
        self.now = self.site.eyes.look()
