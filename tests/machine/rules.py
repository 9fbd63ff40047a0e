"""All rules together, and the final checks."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from runs.lifecycle import claims
from runs.lifecycle.outcomes import Ending
from tests.machine import history
from tests.machine.accidents import Accidents
from tests.machine.base import pick, slots
from tests.machine.clients import PLANS, Clients, durabilities
from tests.machine.races import Races


class Life(Clients, Accidents, Races):
    @initialize(plans=st.lists(st.sampled_from(PLANS), min_size=2, max_size=2), durability=durabilities)
    def begin_at_work(self, plans, durability) -> None:
        """Each process executes a run, so that the rules have something to disturb."""
        self.begin()
        for number, steps in enumerate(plans):
            self.create(number, "enqueue", steps, durability, False, number)

    @precondition(lambda self: self.shown and self.awake())
    @rule(
        slot=slots,
        accident=st.sampled_from(["", "crash", "rollback"]),
        fuse=st.integers(1, 6),
        lands=st.booleans(),
    )
    def converse(self, slot, accident, fuse, lands) -> None:
        """A process receives the answer to the newest interrupt.

        Then it crashes, or the answer is cancelled.
        """
        process, (thread, interrupt_id, question) = pick(self.awake(), slot), self.shown[-1]
        if process.draining or self.now.threads[thread.hex]["status"] == "busy":
            return
        answer = self.number("a")
        self.answers[answer] = question
        self.reply(thread, {interrupt_id: answer}, "enqueue", process)
        attempt = list(process.attempts.values())[-1]
        if accident == "crash" and not attempt.ended:
            self.break_step(process, attempt, fuse=fuse, lands=lands)
            return
        if accident == "rollback" and not attempt.ended:
            self.advance(process, attempt)
            if not attempt.ended:
                self.cancel(list(self.accepted)[::-1].index(attempt.run_id), "rollback")
                self.look_after(process)
        self.carry(process, attempt)

    def teardown(self) -> None:
        try:
            if self.sound:
                self.come_to_an_end()
        finally:
            self.kill_all()

    def kill_all(self) -> None:
        for process in self.slots:
            if process is not None:
                self.kill(process)

    def come_to_an_end(self) -> None:
        """Liveness: with one healthy worker every run ends, and every thread is usable."""
        for frozen in [each for each in self.slots if each and each.frozen]:
            self.run(frozen.wake())
        self.kill_all()
        self.now = self.site.eyes.look()
        self.time_passes()
        self.start_process(0)
        process, *_ = self.awake()
        for _ in range(len(self.accepted) + 1):
            for run in claims.claim(process.worker_id, limit=10):
                self.run(process.execute(run))
                attempt = process.attempts[run.id.hex, run.attempt]
                self.run(process.end(attempt))
                if attempt.outcome.ending is Ending.ROLLED_BACK:
                    self.removed.add(attempt.run_id)
                self.run(process.settle(attempt))
        self.now = self.site.eyes.look()
        history.sound(self.now)
        self.check_accepted()
        left = [run["id"] for run in self.now.runs.values() if run["status"] not in history.TERMINAL]
        assert not left, f"Runs that never end: {left}"
        for run_id in self.accepted:
            self.read_on(run_id, here=False)
