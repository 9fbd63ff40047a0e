"""Workers in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from runs.lifecycle.reconcile import reconcile
from runs.models import Attempt, Worker
from runs.process.leases import mark_stopped
from tests.support.admin_site import page, sign_in, staff
from tests.support.rows import make_run, make_worker
from threads.db import clock

WORKERS = "/admin/runs/worker/"


@pytest.fixture
def root(db: None) -> Client:
    return sign_in(is_superuser=True)


def act(client: Client, *workers: Any) -> str:
    data = {"action": "drain", "_selected_action": [worker.pk for worker in workers]}
    return client.post(WORKERS, data, follow=True).content.decode()


def test_the_list_of_workers_says_who_lives(root: Client) -> None:
    make_worker(host="alive"), make_worker(host="late", lease=-1), make_worker(host="gone", stopped=True)
    make_worker(host="leaving", draining=True), make_worker(host="shot", stopped=True, killed_at=clock.now())
    html = root.get(WORKERS).content.decode()
    rows = {
        row.partition("field-host")[2][2:].partition("<")[0]: row
        for row in html.partition("<tbody>")[2].split("<tr>")[1:]
    }
    states = {
        "alive": "running",
        "late": "killed",
        "gone": "stopped",
        "leaving": "draining",
        "shot": "killed",
    }
    assert {host: f"status-{state}" in rows[host] for host, state in states.items()} == dict.fromkeys(
        states, True
    )
    for wanted in set(states.values()):
        found = root.get(WORKERS, {"state": wanted}).context["cl"].result_list
        assert {worker.host for worker in found} == {
            host for host, state in states.items() if state == wanted
        }


def test_a_worker_s_page_shows_what_it_executes(root: Client) -> None:
    run, other = make_run("running"), make_run("running")
    html = root.get(page(run.worker)).content.decode()
    assert page(run) in html
    assert page(other) not in html
    assert "1 of 10" in html


def test_a_worker_s_page_shows_what_it_ran_and_how_that_ended(root: Client) -> None:
    worker, now = make_worker(age=3600), clock.now()
    mine, other = make_run("error", age=60), make_run("success", age=60)
    Attempt.objects.all().delete()
    for run, by in ((mine, worker), (other, make_worker())):
        Attempt.objects.create(
            run=run, number=1, epoch=1, worker_id=by.id, host=by.host, pid=by.pid, began_at=now - timedelta(seconds=9),
            ended_at=now, reason="lost",
        )  # fmt: skip
    html = root.get(page(worker)).content.decode()
    assert "What it ran" in html
    assert page(mine) in html and page(other) not in html
    assert "status-lost" in html and "9.0 s" in html


@pytest.mark.django_db
def test_a_worker_that_others_found_dead_was_killed() -> None:
    dead, left = make_worker(lease=-1), make_worker()
    mark_stopped([left.id])
    reconcile()
    states = {worker.id: worker.state for worker in Worker.objects.exclude(stopped_at=None)}
    assert states[left.id] == "stopped"
    assert states[dead.id] == "killed"


@pytest.mark.django_db
def test_an_operator_drains_the_workers_that_live() -> None:
    alive, gone = make_worker(), make_worker(stopped=True)
    client = staff("view_worker", "operate_run")
    assert "Drain</button>" in client.get(page(alive)).content.decode()
    assert "Cannot be drained: it is stopped." in client.get(page(gone)).content.decode()
    assert "Asked 1 worker to drain" in act(client, alive, gone)
    alive.refresh_from_db()
    assert alive.drain_requested_at is not None and alive.state == "draining"
    assert LogEntry.objects.get().object_id == str(alive.pk)
    assert "Cannot be drained: it is draining." in client.get(page(alive)).content.decode()
    assert "None of these workers is alive." in act(client, gone)


@pytest.mark.django_db
def test_who_may_only_look_drains_nothing() -> None:
    worker, viewer = make_worker(), staff("view_worker")
    act(viewer, worker)
    worker.refresh_from_db()
    assert worker.drain_requested_at is None
    assert "you need the permission runs.operate_run" in viewer.get(page(worker)).content.decode()
