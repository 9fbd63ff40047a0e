"""Operations of worker processes: start, recover, claim, execute, settle, drain."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from runs.lifecycle import claims
from runs.lifecycle.outcomes import Ending, Stop
from runs.lifecycle.reconcile import Caller, reconcile
from tests.machine.base import MAX_ATTEMPTS, Base, pick, picks, same, slots
from tests.machine.sight import Row, Sight
from tests.machine.workers import Attempt, Process

STATUS = {Ending.SUCCESS: "success", Ending.ERROR: "error", Ending.INTERRUPTED: "interrupted",
          Ending.ROLLED_BACK: None, Ending.DRAINED: "pending"}  # fmt: skip


class Executing(Base):
    def begin(self) -> None:
        for number in range(len(self.slots)):
            self.start_process(number)

    @precondition(lambda self: None in self.slots)
    @rule()
    def start(self) -> None:
        self.start_process(self.slots.index(None))

    def start_process(self, number: int) -> None:
        """Start a process, which first looks for orphans."""
        process = self.run(Process.start(self.site.loop.storage))
        self.slots[number] = process
        self.now = self.site.eyes.look()
        self.recover(sole=True, process=process)

    @precondition(lambda self: self.awake() and self.having("pending"))
    @rule(slot=slots, limit=st.integers(1, 3))
    def claim(self, slot, limit) -> None:
        process = pick(self.awake(), slot)
        if not process.draining:
            self.let_claim(process, limit=limit)

    def let_claim(self, process: Process, *, limit: int) -> None:
        moves: dict[str, set[str]] = {}
        with self.doing(moves) as before:
            queues = [before.in_flight(thread_id) for thread_id in before.threads]
            due = [[run for run in queue if run["due_at"] <= self.current()] for queue in queues]
            first = {queue[0]["id"] for queue in due if queue and queue[0]["status"] == "pending"}
            busy = {run["thread_id"] for queue in queues for run in queue if run["status"] == "running"}
            first = {run_id for run_id in first if before.runs[run_id]["thread_id"] not in busy}
            claimed = claims.claim(process.worker_id, limit=limit)
            assert len(claimed) == min(limit, len(first)), "A run that could be claimed was not."
            assert {run.id.hex for run in claimed} <= first, "Not the first of its thread's queue."
            moves |= {run.id.hex: {"claimed"} for run in claimed}
            self.execute(process, claimed, before)

    @precondition(lambda self: self.attempts(ended=False))
    @rule(number=picks)
    def step(self, number) -> None:
        self.advance(*pick(self.attempts(ended=False), number))

    @precondition(lambda self: self.attempts(ended=False))
    @rule(number=picks, finishes=st.booleans())
    def steps(self, number, finishes) -> None:
        process, attempt = pick(self.attempts(ended=False), number)
        self.carry(process, attempt, finishes=finishes)

    def carry(self, process: Process, attempt: Attempt, *, finishes: bool = True) -> None:
        while not attempt.ended:
            self.advance(process, attempt)
        if finishes:
            self.write_down(process, attempt)

    @precondition(lambda self: self.awake() and (self.having("pending") or self.having("running")))
    @rule(slot=slots)
    def work(self, slot) -> None:
        """A process claims runs, and executes all that it owns to their ends."""
        process = pick(self.awake(), slot)
        if not process.draining:
            self.let_claim(process, limit=3)
        for attempt in list(process.attempts.values()):
            self.carry(process, attempt)

    def advance(self, process: Process, attempt: Attempt) -> None:
        owned = self.owns(attempt)
        with self.doing() as before:
            self.check_new(attempt, before)
            self.run(process.step(attempt))
        assert owned or same(before, self.now), "A process that lost a run changed something."

    def check_new(self, attempt: Attempt, before: Sight) -> None:
        """I6: a saved step is not executed again, except by a process that missed the takeover."""
        if not self.owns(attempt):
            return
        saved = {word.split("=")[0] for word in before.log(attempt.run.thread_id.hex)}
        assert attempt.gate.waiting not in saved, f"{attempt.gate.waiting} is executed again."

    @precondition(lambda self: self.attempts(ended=True))
    @rule(number=picks)
    def finish(self, number) -> None:
        process, attempt = pick(self.attempts(ended=True), number)
        self.write_down(process, attempt)

    def write_down(self, process: Process, attempt: Attempt) -> None:
        owned, run_id = self.owns(attempt), attempt.run_id
        moves = {run_id: {"settled"}} if owned and attempt.outcome.ending is not Ending.LOST else {}
        with self.doing(moves) as before:
            if owned and attempt.outcome.ending is Ending.ROLLED_BACK:
                self.removed.add(run_id)
            self.run(process.settle(attempt))
        if not owned or attempt.outcome.ending is Ending.LOST:
            assert same(before, self.now), "A process that lost a run changed something."
            return
        ending = attempt.outcome.ending
        run = self.now.runs.get(run_id)
        assert (run and run["status"]) == STATUS[ending]
        if ending is Ending.ROLLED_BACK:
            self.check_rolled_back(run_id, attempt.run.thread_id.hex)

    def check_rolled_back(self, run_id: str, thread_id: str) -> None:
        ground, head = self.grounds[run_id], self.now.head(thread_id)
        assert self.now.log(thread_id) == ground.log, "A rollback left something, or took too much."
        assert (head and head["id"]) == ground.head
        assert self.now.head_writes(thread_id) == ground.writes, "A rollback left answers behind."

    @precondition(lambda self: any(each.unwritten for each in self.awake()))
    @rule(slot=slots)
    def flush(self, slot) -> None:
        process = pick([each for each in self.awake() if each.unwritten], slot)
        with self.doing():
            process.flush(datetime.now(UTC))

    @precondition(
        lambda self: any(
            not self.owns(each) or self.asked_to_stop(each) for _, each in self.attempts(ended=False)
        )
    )
    @rule(slot=slots)
    def watch(self, slot) -> None:
        """Check the rows of a worker's runs for cancels and takeovers, like the manager does."""
        self.look_after(pick(self.awake(), slot))

    def look_after(self, process: Process) -> None:
        with self.doing():
            rows = claims.owned(process.worker_id)
            for attempt in process.attempts.values():
                epoch, action, _ = rows.get(attempt.run.id, claims.Owned(0))
                if attempt.ended or attempt.execution.stopped is not None:
                    continue
                if epoch != attempt.run.epoch:
                    assert not self.owns(attempt)
                    self.run(process.stop(attempt, Stop.LOST))
                elif action:
                    attempt.execution.run.cancel_action = action
                    self.run(process.stop(attempt, Stop.CANCEL))

    @precondition(lambda self: self.awake())
    @rule(slot=slots)
    def heartbeat(self, slot) -> None:
        process = pick(self.awake(), slot)
        with self.doing() as before:
            alive = self.run(process.lease.renew())
            assert alive == (before.workers[process.worker_id.hex]["stopped_at"] is None)
            if not alive:
                self.run(process.lose())

    @precondition(lambda self: self.awake())
    @rule(slot=slots)
    def drain(self, slot) -> None:
        """Begin a shutdown: claim no more runs, and ask graphs to stop before the next step."""
        process = pick(self.awake(), slot)
        process.draining = True
        for attempt in process.attempts.values():
            attempt.execution.request_drain()

    @precondition(lambda self: self.attempts(ended=False))
    @rule(number=picks)
    def shut_down(self, number) -> None:
        """A complete shutdown while a run executes."""
        process, _ = pick(self.attempts(ended=False), number)
        process.draining = True
        self.give_up(process)

    @precondition(lambda self: any(each.draining for each in self.awake()))
    @rule()
    def leave(self) -> None:
        """End a shutdown: stop the remaining runs, settle all attempts, release the lease."""
        self.give_up(next(each for each in self.awake() if each.draining))

    def give_up(self, process: Process) -> None:
        for attempt in list(process.attempts.values()):
            with self.doing():
                if not attempt.ended:
                    self.run(process.stop(attempt, Stop.DRAIN))
            self.write_down(process, attempt)
        with self.doing():
            self.run(process.leave())
        self.slots[self.slots.index(process)] = None

    @precondition(lambda self: self.having("running"))
    @rule(action=st.sampled_from(["auto", "auto", "resume", "error"]))
    def reconcile(self, action) -> None:
        """The reconcile command, with or without running servers."""
        self.recover(sole=None, action=action)

    @precondition(lambda self: self.awake() and self.having("running"))
    @rule(slot=slots)
    def sweep(self, slot) -> None:
        self.recover(sole=True, process=pick(self.awake(), slot))

    def recover(self, *, sole: bool | None, process: Process | None = None, action: str = "auto") -> None:
        orphans, dead = self.orphans(sole=sole, process=process), self.dead(sole=sole, process=process)
        with self.doing({run["id"]: {"recovered"} for run in orphans}) as before:
            executing = {each.run.id for each in process.attempts.values()} if process else ()
            worker_id = process.worker_id if process else None
            reconcile(action=action, caller=Caller(sole=sole, worker_id=worker_id, executing=executing))
        for worker in self.now.workers.values():
            was = before.workers[worker["id"]]["stopped_at"]
            assert worker["stopped_at"] == was or worker["id"] in dead, "A living worker was declared dead."
        for run in orphans:
            goes_on = run["cancel_action"] or (action != "error" and run["lost_attempts"] + 1 < MAX_ATTEMPTS)
            assert self.now.runs[run["id"]]["status"] == ("pending" if goes_on else "error")

    def orphans(self, *, sole: bool | None, process: Process | None) -> list[Row]:
        """The running runs without a live worker."""
        stopped = {each["id"] for each in self.now.workers.values() if each["stopped_at"] is not None}
        gone = {None, *self.dead(sole=sole, process=process), *stopped}
        if process is not None:
            gone.discard(process.worker_id.hex)
        return [run for run in self.having("running") if run["worker_id"] in gone]

    def dead(self, *, sole: bool | None, process: Process | None) -> set[str]:
        """The dead workers, according to rows and the processes' locks."""
        alive = {each.worker_id.hex for each in self.slots if each is not None}
        if self.site.postgres:
            now = self.current()
            return {
                each["id"]
                for each in self.now.workers.values()
                if each["lease_expires_at"] <= now or each["id"] not in alive
            }
        return set(self.now.workers) if process is not None or not alive else set()
