"""Webhooks and crons across kills of real processes."""

from __future__ import annotations

import signal

import pytest

from tests.processes.harness import Site, eventually, free_port
from tests.processes.invariants import sound
from tests.support.receiver import ALLOWED, receiving

KILLED = -signal.SIGKILL
#: A yearly cron, made due at once by a change of its row.
YEARLY = "0 0 1 1 *"


def test_a_webhook_is_sent_though_its_process_died_after_the_final_status(site: Site) -> None:
    """The process is killed right after the commit."""
    with receiving() as receiver:
        site.start(FAILPOINT="settled", run_settings=ALLOWED)
        run = site.create("steps", webhook=receiver.url)
        assert site.process.wait() == KILLED
        assert site.row(run)["status"] == "success"
        assert receiver.received == []
        site.start(run_settings=ALLOWED)
        eventually(lambda: receiver.received, what="the webhook")
        told = receiver.received[0].json
        assert (told["run_id"], told["status"]) == (run["run_id"], "success")
        assert len(told["values"]["log"]) == 10
        assert site.process.stop() == 0
        assert len(receiver.received) == 1
    sound(site)


def test_a_webhook_whose_sender_was_killed_is_sent_by_the_next_one(site: Site) -> None:
    settings = {**ALLOWED, "WEBHOOK_TIMEOUT": 0.5}
    with receiving() as receiver:
        receiver.open.clear()
        site.start(run_settings=settings)
        site.create("steps", webhook=receiver.url)
        eventually(lambda: receiver.received, what="the first attempt")
        site.process.kill()
        receiver.open.set()
        # End its lease without waiting.
        site.database.execute("UPDATE runs_webhookdelivery SET due_at = created_at")
        site.start(run_settings=settings)
        eventually(
            lambda: site.database.rows("SELECT * FROM runs_webhookdelivery WHERE state = 'delivered'"),
            what="it is delivered",
        )
        assert len({received.id for received in receiver.received}) == 1


def crons_runs(site: Site, status: str = "%") -> int:
    return len(site.database.rows(f"SELECT id FROM runs_run WHERE status LIKE '{status}'"))


def make_due(site: Site) -> None:
    site.database.execute("UPDATE runs_cron SET next_run_date = created_at")


def test_a_cron_that_was_due_while_nobody_was_there_fires_once(site: Site) -> None:
    site.start()
    client = site.client()
    client.crons.create("steps", schedule=YEARLY, input={"log": []}, on_run_completed="keep")
    site.process.kill()
    make_due(site)
    site.start()
    eventually(lambda: crons_runs(site), what="the cron fires")
    (row,) = site.database.rows("SELECT * FROM runs_run")
    site.finish({"run_id": row["id"], "thread_id": row["thread_id"]})
    site.process.stop()
    assert crons_runs(site) == 1
    sound(site)


@pytest.mark.postgresql
def test_of_two_processes_one_fires_each_time(site: Site) -> None:
    first, second = site.start(), site.start(port=free_port())
    for _ in range(10):
        site.client(first).crons.create("steps", schedule=YEARLY, input={"log": []}, on_run_completed="keep")
    for turn in range(1, 4):
        make_due(site)
        # A cron whose last run still waits is skipped.
        eventually(lambda turn=turn: crons_runs(site, "success") == 10 * turn, what="all have fired")
    assert (first.stop(), second.stop()) == (0, 0)
    assert crons_runs(site) == 30
    sound(site)
