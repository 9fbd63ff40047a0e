"""Operations of clients and operators: create, answer, cancel, delete, read."""

from __future__ import annotations

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from runs.events import table
from runs.exceptions import NothingToCancel, ThreadBusy
from runs.identity.principals import Principal
from runs.lifecycle import cancellation
from runs.lifecycle.admission import admit
from runs.requests.run import RunRequest
from tests.machine import history
from tests.machine.base import Base, Reader, actions, pick, picks, slots
from tests.machine.graph import given
from tests.machine.sight import Row
from tests.machine.workers import Process

durabilities = st.sampled_from(["sync", "async", "async", "exit"])
PLANS = ("s", "ss", "sss", "a", "sa", "as", "d", "aa", "f", "sf")


class Clients(Base):
    def admit(self, request: RunRequest, thread: UUID, token: str | None, process: Process | None) -> None:
        moves: dict[str, set[str]] = {}
        with self.doing(moves) as before:
            others = before.in_flight(thread.hex)
            moves |= {run["id"]: {"cancelled"} for run in others}
            worker_id = process.worker_id if process else None
            try:
                admitted = admit(
                    request, principal=Principal(self.site.user_id), thread_id=thread, worker_id=worker_id
                )
            except ThreadBusy:
                assert request.multitask_strategy == "reject"
                assert others
                moves.clear()
                return
            assert not others or request.multitask_strategy != "reject"
            run_id = admitted.run.id.hex
            moves[run_id] = {"created"}
            self.accepted[run_id] = token
            self.removed |= {each.hex for each in admitted.removed}
            assert admitted.claimed == (process is not None and not others)
            if admitted.claimed:
                self.execute(process, [admitted.run], before)
        if request.multitask_strategy in ("interrupt", "rollback"):
            for run in others:
                self.check_cancelled(run, request.multitask_strategy)

    def check_cancelled(self, before: Row, action: str) -> None:
        now = self.now.runs.get(before["id"])
        action = before["cancel_action"] or action
        if before["status"] == "pending" and not before["attempt"]:
            assert now is None if action == "rollback" else now["status"] == "interrupted"
            return
        assert now["cancel_action"] == action, "The first request to cancel wins."
        # An owner, the current or the next one, knows what a started run left behind.
        assert now["status"] == before["status"] or (before["status"], action) == ("pending", "interrupt")

    @rule(
        thread=slots,
        strategy=st.sampled_from(["enqueue", "enqueue", "reject", "interrupt", "rollback"]),
        steps=st.sampled_from(PLANS),
        durability=durabilities,
        later=st.sampled_from([False, False, False, True]),
        slot=st.integers(0, 2),
    )
    def create(self, thread, strategy, steps, durability, later, slot) -> None:
        token = self.number("r")
        process = None if later else self.executor(slot)
        request = RunRequest(
            assistant_id="life", input=given(token, steps), stream_modes=["values", "updates"],
            multitask_strategy=strategy, if_not_exists="create", durability=durability,
            after_seconds=100.0 if later else 0.0,
        )  # fmt: skip
        self.admit(request, self.threads[thread], token, process)

    @precondition(lambda self: self.shown)
    @rule(
        number=picks,
        plain=st.booleans(),
        strategy=st.sampled_from(["enqueue", "reject", "interrupt"]),
        slot=st.integers(0, 2),
    )
    def answer(self, number, plain, strategy, slot) -> None:
        """Answer an interrupt that a client saw at any time.

        A plain answer is for the one that the thread shows now.
        """
        thread, interrupt_id, question = pick(self.shown[::-1], number)
        answer = self.number("a")
        if plain:
            showing = self.now.questions(thread.hex)
            self.answers[answer] = showing[0][1] if showing else None
        else:
            self.answers[answer] = question
        self.reply(thread, answer if plain else {interrupt_id: answer}, strategy, self.executor(slot))

    def reply(self, thread: UUID, resume: object, strategy: str, process: Process | None) -> None:
        request = RunRequest(
            assistant_id="life",
            command={"resume": resume},
            stream_modes=["updates"],
            multitask_strategy=strategy,
        )
        self.admit(request, thread, None, process)

    @precondition(lambda self: self.accepted)
    @rule(number=picks, action=actions)
    def cancel(self, number, action) -> None:
        run_id = pick(list(self.accepted)[::-1], number)
        with self.doing({run_id: {"cancelled"}}) as before:
            run = before.runs.get(run_id)
            in_flight = run is not None and run["status"] not in history.TERMINAL
            try:
                outcome = cancellation.cancel(UUID(run_id), action=action)
                assert in_flight
            except NothingToCancel:
                assert not in_flight
            else:
                if outcome is cancellation.REMOVED:
                    self.removed.add(run_id)
        if in_flight:
            self.check_cancelled(run, action)

    @precondition(lambda self: self.now.runs)
    @rule(number=picks)
    def delete(self, number) -> None:
        run = pick(list(self.now.runs.values())[::-1], number)
        with self.doing({run["id"]: {"deleted"}}):
            self.removed.add(run["id"])
            cancellation.delete(UUID(run["id"]), thread_id=UUID(run["thread_id"]))
        assert run["id"] not in self.now.runs

    @precondition(lambda self: self.now.events or self.attempts(ended=False))
    @rule(here=st.booleans())
    def follow(self, here) -> None:
        """Every run's reader continues, from the executing process's memory or from the log."""
        for run_id in self.accepted:
            self.read_on(run_id, here=here)

    def read_on(self, run_id: str, *, here: bool) -> None:
        reader = self.readers.setdefault(run_id, Reader())
        batch = table.read(UUID(run_id), reader.position)
        attempts = [attempt for each in self.awake() for attempt in each.attempts.values()]
        found = [attempt for attempt in attempts if attempt.run_id == run_id][-1:]
        if here and found:
            epoch = found[0].run.epoch
            batch = [event for event in batch if event.epoch < epoch]
            if not batch and reader.position < (epoch + 1, 0):
                batch = found[0].stream.after(max(reader.position, (epoch, 0))) or []
        for event in batch:
            assert event.position > reader.position, "A reader was sent back."
            reader.position = event.position
            reader.seen.append(event.position)
        if not here:
            log = {(epoch, seq) for epoch, seq, *_ in self.now.events.get(run_id, [])}
            assert log <= set(reader.seen), "Events of the log never reached the reader."
