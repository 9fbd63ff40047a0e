"""What the dashboard says that needs attention."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, override_settings

from runs.admin.overview.attention import Item
from runs.models import DeliveryState, Run, RunStatus, WebhookDelivery
from tests.runs.webhooks.test_delivery import delivery_to
from tests.support.admin_site import staff
from tests.support.rows import make_events, make_run, make_thread, make_user, make_worker
from threads.db import clock
from threads.db.ids import new_id

pytestmark = pytest.mark.django_db
PAGE = "/admin/runs/overview/"


def items(client: Client) -> list[Item]:
    found: list[Item] = client.get(PAGE).context["attention"]
    return found


def titles(client: Client) -> list[str]:
    return [item.title for item in items(client)]


def failed(**fields: Any) -> Run:
    error = {"error": "ValueError", "message": "kaboom"}
    return make_run("error", error=error, failure={"node": "boom"}, **fields)


def test_nothing_is_said_of_a_healthy_site() -> None:
    make_worker()
    make_run("success")
    make_run("running")
    make_run("pending")
    assert titles(staff("view_run", "view_webhookdelivery")) == []


def test_failures_are_grouped_until_their_threads_go_on() -> None:
    make_worker()
    older, newest = failed(age=60), failed()
    client = staff("view_run")
    [item] = items(client)
    assert (item.title, item.text) == (
        "boom of steps failed",
        "ValueError: kaboom 2 runs, this is the newest.",
    )
    assert str(newest.id) in item.url
    make_run("success", thread=newest.thread)
    [item] = items(client)
    assert str(older.id) in item.url


def test_a_queue_without_a_worker_and_what_a_killed_worker_left() -> None:
    worker = make_worker(lease=-1)
    make_run("running", worker=worker)
    queue, killed = items(staff("view_run"))
    assert queue.title == "No worker serves the queue default"
    assert queue.command == "manage.py run_worker --queues default"
    assert killed.title == f"The worker {worker} was killed"
    assert "1 run that it executed must be taken over." in killed.text
    assert str(worker.id) in killed.url


@override_settings(RUNS={"IDLE_TIMEOUT": 100.0})
def test_an_executing_run_is_silent_after_a_tenth_of_its_idle_limit() -> None:
    worker = make_worker()
    Run.objects.filter(id=make_run("running", worker=worker).id).update(
        started_at=clock.now() - timedelta(seconds=9)
    )
    talks = make_run("running", worker=worker, age=60)
    make_events(talks, 1)
    silent = make_run("running", worker=worker, age=11)
    [item] = items(staff("view_run"))
    assert item.title == "A run of steps is silent"
    assert str(silent.id) in item.url


def test_a_user_who_fills_the_queue_is_named_and_operators_cancel_the_runs() -> None:
    make_worker()
    runaway = make_user()
    make_run("pending")
    for _ in range(10):
        make_run("pending", thread=make_thread(user=runaway, status="busy"))
    [item] = items(staff("view_run"))
    assert item.title == f"{runaway} fills the queue"
    assert item.cancels == ""
    operator = staff("view_run", "operate_run")
    [item] = items(operator)
    listed = operator.get(item.url).context["cl"].result_list
    assert {run.user_id for run in listed} == {runaway.pk}
    form = operator.get(PAGE).content.decode().partition('class="go"')[2].partition("</form>")[0]
    body = dict(re.findall(r'name="(_selected_action|select_across|action)" value="([^"]+)"', form))
    asked = operator.post(item.cancels, body)
    assert asked.context["estimate"].runs == 10
    confirmed = {**body, "confirmed": "yes", "reason": "a loop", "until": str(new_id())}
    assert operator.post(item.cancels, confirmed).status_code == 302
    assert set(Run.objects.filter(user=runaway).values_list("status", flat=True)) == {RunStatus.INTERRUPTED}
    assert set(Run.objects.exclude(user=runaway).values_list("status", flat=True)) == {RunStatus.PENDING}


def test_abandoned_webhooks_are_told_to_those_who_may_view_them() -> None:
    delivery = delivery_to("https://example.com/hook")
    WebhookDelivery.objects.filter(id=delivery.id).update(
        state=DeliveryState.FAILED, finished_at=clock.now(), status_code=500, last_error="It answered 500."
    )
    assert not [each for each in titles(staff("view_run")) if "Webhooks" in each]
    [item] = [each for each in items(staff("view_run", "view_webhookdelivery")) if "Webhooks" in each.title]
    assert item.text == "1 failed for good; the newest: It answered 500."
    assert str(delivery.id) in item.url
