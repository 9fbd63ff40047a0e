"""The incidents: how each happens, what the operator repairs outside of the admin, and when it is mended."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter

from tests.incidents.stage import HERE, Stage
from tests.processes.databases import Row
from tests.processes.harness import eventually, moment

#: A tenth of the stage's `IDLE_TIMEOUT` and a little more.
SILENT = 11.0


class Story(ABC):
    """One incident on a stage."""

    run: Row

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @abstractmethod
    def happen(self) -> None: ...

    def repair(self) -> None:
        """Do what the operator does outside of the admin, before the last click."""
        raise AssertionError("Nothing outside of the admin is broken.")

    def run_command(self, command: str) -> None:
        """Run a command that a page of the admin names."""
        program, name, *arguments = command.split()
        assert (program, name) == ("manage.py", "run_worker"), command
        self.stage.work(*arguments)

    @abstractmethod
    def mended(self) -> None:
        """Wait until the API says so."""


class PoisonRun(Story):
    """A run that kills each process that executes it."""

    def happen(self) -> None:
        worker = self.stage.work()
        self.run = self.stage.create("orders", "poison")
        for _ in range(3):
            worker.wait()
            worker = self.stage.work()
        self.stage.reaches(self.run, "error")

    def mended(self) -> None:
        self.stage.ends_well(self.run, "skipped", "report")


class StuckNode(Story):
    """A node that waits for an answer that never comes."""

    def happen(self) -> None:
        self.stage.work()
        self.run = self.stage.create("lookups", "hung")
        self.stage.reaches(self.run, "running")
        eventually(lambda: self._age() > SILENT, what="the run is silent")

    def _age(self) -> float:
        """For how long it executes, in seconds."""
        return time.time() - moment(self.stage.site.row(self.run)["started_at"])

    def mended(self) -> None:
        self.stage.reaches(self.run, "interrupted")
        self.stage.ends_well(self.stage.create("lookups", thread=self.run["thread_id"]), "report")


class DeadWorker(Story):
    """The only worker is killed, and nothing starts another one."""

    def happen(self) -> None:
        worker = self.stage.work()
        self.run = self.stage.create("steps", input={"log": [], "delay": 0.3}, durability="sync")
        eventually(lambda: "s2" in self.stage.site.executed(self.run), what="s2 executes")
        worker.kill()
        eventually(self._found_dead, what="its lease ends")

    def _found_dead(self) -> bool:
        """Whether the pages call the worker killed: its lease ended, by the database's clock."""
        rows = self.stage.site.database.rows("SELECT lease_expires_at AS ends FROM runs_worker")
        return all(moment(row["ends"]) < time.time() for row in rows)

    def mended(self) -> None:
        self.stage.ends_well(self.run)
        counted = Counter(self.stage.site.executed(self.run))
        # The step that was executing may begin again; what had ended does not.
        assert [counted[f"s{number}"] for number in (0, 1, 9)] == [1, 1, 1], counted


class QueueWithoutWorkers(Story):
    """A graph's queue that no worker serves."""

    def happen(self) -> None:
        self.stage.work()
        self.run = self.stage.create("render")

    def mended(self) -> None:
        self.stage.ends_well(self.run)


class BadDeploy(Story):
    """A deploy lost a node that a run waits for."""

    def happen(self) -> None:
        self.stage.work()
        self.run = self.stage.create("quotes")
        self.stage.reaches(self.run, "running")
        eventually(
            lambda: self.stage.client.threads.get_state(self.run["thread_id"])["next"] == ["price"],
            what="price begins",
        )
        self.stage.deploy(quotes=f"{HERE}:quotes_without_price")
        self.stage.work()
        self.stage.reaches(self.run, "error")

    def repair(self) -> None:
        self.stage.deploy()
        self.stage.site.open_gate()
        self.stage.work()

    def mended(self) -> None:
        self.stage.ends_well(self.run, "price", "report")


class FullDatabase(Story):
    """No checkpoint can be written, because the disk is full."""

    def happen(self) -> None:
        self.stage.work()
        self.stage.ends_well(self.stage.create("orders"))
        self.stage.disk(full=True)
        self.run = self.stage.create("orders", "A-18" * 5000)
        self.stage.reaches(self.run, "error")

    def repair(self) -> None:
        self.stage.disk(full=False)

    def mended(self) -> None:
        self.stage.ends_well(self.run, "report")


class SlowModel(Story):
    """A model that does not answer within a run's time."""

    def happen(self) -> None:
        self.stage.work("--queues", "default", RUN_TIMEOUT=2.0)
        self.run = self.stage.create("answers")
        self.stage.reaches(self.run, "timeout")

    def repair(self) -> None:
        self.stage.site.open_gate()

    def mended(self) -> None:
        self.stage.ends_well(self.run, "w0 w1 w2 ")


class RunawayUser(Story):
    """One user's script fills the queue."""

    def happen(self) -> None:
        self.stage.work("--concurrency", "1")
        self.eve = self.stage.as_user("eve")
        self.theirs = [self._create() for _ in range(30)]
        self.run = self.stage.create("orders")

    def _create(self) -> Row:
        thread = self.eve.threads.create()["thread_id"]
        return dict(self.eve.runs.create(thread, "quotes", input={"order": "A-17"}))

    def _status(self, run: Row) -> str:
        return str(self.eve.runs.get(run["thread_id"], run["run_id"])["status"])

    def mended(self) -> None:
        waiting = self.theirs[1:]
        eventually(
            lambda: {self._status(run) for run in waiting} == {"interrupted"}, what="they are cancelled"
        )
        self.stage.site.open_gate()
        self.stage.ends_well(self.run, "report")


class LostWebhook(Story):
    """The receiver of a webhook was down for longer than it is tried."""

    def happen(self) -> None:
        self.stage.receiver.answers = [503]
        self.stage.work()
        self.run = self.stage.create("orders", webhook=self.stage.receiver.url)
        eventually(self._given_up, what="the webhook is given up")

    def _given_up(self) -> bool:
        rows = self.stage.site.database.rows("SELECT state FROM runs_webhookdelivery")
        return [row["state"] for row in rows] == ["failed"]

    def mended(self) -> None:
        eventually(lambda: len(self.stage.receiver.received) == 2, what="the webhook is sent again")
        assert self.stage.receiver.received[-1].json["run_id"] == self.run["run_id"]
        eventually(lambda: self._state() == "delivered", what="the webhook is delivered")

    def _state(self) -> str:
        [row] = self.stage.site.database.rows("SELECT state FROM runs_webhookdelivery")
        return str(row["state"])


class WrongAnswer(Story):
    """A person approved what should have been refused."""

    def happen(self) -> None:
        self.stage.work()
        asking = self.stage.create("refunds", "ORD-114")
        self.stage.reaches(asking, "success")
        self.run = self.stage.create("refunds", thread=asking["thread_id"], command={"resume": "yes"})
        self.stage.ends_well(self.run, "refunded")

    def mended(self) -> None:
        self.stage.ends_well(self.run, "refused")


STORIES: dict[str, type[Story]] = {
    "poison-run": PoisonRun,
    "stuck-node": StuckNode,
    "dead-worker": DeadWorker,
    "queue-without-workers": QueueWithoutWorkers,
    "bad-deploy": BadDeploy,
    "full-database": FullDatabase,
    "slow-model": SlowModel,
    "runaway-user": RunawayUser,
    "lost-webhook": LostWebhook,
    "wrong-answer": WrongAnswer,
}
