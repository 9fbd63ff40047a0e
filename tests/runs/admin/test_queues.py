"""Queues in the admin."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from runs.lifecycle.operators import queues
from runs.models import PausedQueue, SiteAction
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_run, make_worker

QUEUES = "/admin/runs/pausedqueue/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return staff("view_pausedqueue", "operate_run")


def test_a_queue_says_what_waits_for_how_long_and_who_serves_it(operator: Client) -> None:
    make_run("pending", age=120, queue="gpu")
    make_run("pending", age=7200, queue="gpu")
    make_run("running", queue="batch", worker=make_worker(queues=["batch"]))
    html = operator.get(QUEUES).content.decode()
    gpu = html[html.index(">gpu<") :]
    for shown in ("2 wait<", "the oldest for 2.0 h", "0 execute", "No worker", "run_worker --queues gpu"):
        assert shown in gpu, shown
    batch = html[html.index(">batch<") : html.index(">gpu<")]
    for shown in ("Nothing waits", "1 executes", "1 worker", "Open"):
        assert shown in batch, shown


def test_a_pause_has_its_reason_and_is_ended(operator: Client) -> None:
    response = operator.post(
        f"{QUEUES}pause/", {"queue": "gpu", "reason": "<b>the card burns</b>"}, follow=True
    )
    html = response.content.decode()
    assert "No worker claims runs of the queue gpu now." in html
    assert "&lt;b&gt;the card burns&lt;/b&gt;" in html
    assert queues.is_paused("gpu")
    assert (
        "was paused before"
        in operator.post(f"{QUEUES}pause/", {"queue": "gpu"}, follow=True).content.decode()
    )
    assert PausedQueue.objects.get().reason == "<b>the card burns</b>"
    operator.post(f"{QUEUES}resume/", {"queue": "gpu"})
    assert not queues.is_paused("gpu")
    assert list(LogEntry.objects.order_by("id").values_list("object_id", "change_message")) == [
        ("gpu", "Paused. <b>the card burns</b>"),
        ("gpu", "Resumed."),
    ]


def test_only_operators_pause_and_only_by_post(operator: Client) -> None:
    assert operator.get(f"{QUEUES}pause/").status_code == 405
    viewer = staff("view_pausedqueue")
    assert viewer.post(f"{QUEUES}pause/", {"queue": "gpu"}).status_code == 403
    html = viewer.get(QUEUES).content.decode()
    assert 'name="reason"' not in html
    assert "you need the permission runs.operate_run" in html
    assert "is no queue" in operator.post(f"{QUEUES}pause/", {"queue": "a b"}, follow=True).content.decode()
    assert not PausedQueue.objects.exists()
    assert sign_in().get(QUEUES).status_code == 403


@pytest.mark.parametrize("what", ["pause", "resume"])
def test_a_reason_with_a_nul_is_kept_without_it(operator: Client, what: str) -> None:
    if what == "resume":
        queues.pause("gpu")
    assert operator.post(f"{QUEUES}{what}/", {"queue": "gpu", "reason": "it\0burns"}).status_code == 302
    assert PausedQueue.objects.exists() is (what == "pause")
    assert SiteAction.objects.get().reason == "it\ufffdburns"
    assert "it\ufffdburns" in LogEntry.objects.get().change_message
