"""Who asked what of a run: on record from the API, code, the admin and commands, also once the run is gone."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model

from runs import agents
from runs.identity import keys
from runs.identity.principals import SCOPES
from runs.lifecycle import cancellation
from runs.lifecycle.operators import operations
from runs.management.agents.run_verbs.actions import operator
from runs.models import CancelAction, PausedQueue, Run, RunAction, SiteAction
from runs.retention.thread_deletion import delete_for_operator
from tests.runs.admin.test_run_page import act, part
from tests.runs.api.routes.test_streams import new_thread, sleep
from tests.runs.crons.test_firing import make_cron
from tests.runs.lifecycle.operators.test_operations import ADA
from tests.support.admin_site import page, sign_in
from tests.support.api import http, url
from tests.support.commands import Agents
from tests.support.driving import Driver
from tests.support.rows import make_run, make_thread, make_worker
from threads.db.database import in_database

__all__ = ["http", "url"]


def records(run_id: Any) -> list[tuple[str, str, str, str]]:
    rows = RunAction.objects.filter(run_id=run_id).order_by("id")
    return list(rows.values_list("kind", "origin", "reason", "outcome"))


@pytest.mark.django_db
def test_a_rollback_before_the_run_began_stays_on_the_threads_page() -> None:
    root, thread = sign_in(is_superuser=True), make_thread(status="busy")
    run = make_run("pending", thread=thread)
    response = act(root, run, action="roll_back", reason="wrong price <b>")
    assert response.json()["outcome"] == "removed before it began"
    assert not Run.objects.filter(id=run.id).exists()
    assert records(run.id) == [("roll_back", "admin", "wrong price <b>", "removed before it began")]
    entry = LogEntry.objects.get(object_id=str(run.pk)).change_message
    assert entry == "roll_back: removed before it began (wrong price <b>)"
    shown = root.get(page(thread)).content.decode()
    assert f"Run {run.id} rolled back by" in shown
    assert "wrong price &lt;b&gt;" in shown

    delete_for_operator([thread], by=ADA)
    assert not records(run.id)


async def test_a_rollback_of_an_executing_run_outlives_the_run(driver: Driver) -> None:
    run = await driver.start("steps", {"log": [], "delay": 5.0})
    await driver.executing(run, "s0")
    await in_database(operations.cancel, run.id, ADA, reason="wrong", roll_back=True)
    await driver.runtime.hub.settled(run.id)
    assert not await in_database(Run.objects.filter(id=run.id).exists)
    record = await in_database(RunAction.objects.get, run_id=run.id)
    assert (record.kind, record.reason, record.thread_id) == ("roll_back", "wrong", run.thread_id)


async def test_a_cancel_and_a_deletion_over_the_api_are_on_record(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    owner = await in_database(get_user_model().objects.get)
    row, key = await in_database(lambda: keys.create(owner.pk, scopes=SCOPES, name="ci"))
    headers = {"X-Api-Key": key}
    body = sleep(300, after_seconds=600)
    made = [
        (await http.post(f"/threads/{thread}/runs", json=body, headers=each)).json()["run_id"]
        for each in (headers, {}, {})
    ]
    assert (await http.post(f"/threads/{thread}/runs/{made[0]}/cancel", headers=headers)).is_success
    assert (await http.post("/runs/cancel", json={"run_ids": [made[1]], "thread_id": thread})).is_success
    assert (await http.delete(f"/threads/{thread}/runs/{made[2]}")).is_success

    cancelled = "cancelled before it was executing"
    assert await in_database(records, made[0]) == [("cancel", "api", "", cancelled)]
    assert await in_database(records, made[1]) == [("cancel", "api", "", cancelled)]
    assert await in_database(records, made[2]) == [("delete", "api", "", "deleted (pending)")]
    names = [(await in_database(RunAction.objects.get, run_id=each)).who for each in made]
    assert names == [f"{owner}, by the key {row}", str(owner), str(owner)]
    client = await in_database(sign_in, is_superuser=True)
    asked = [(await in_database(part, client, Run(id=each), "facts"))["by"] for each in made[:2]]
    assert asked == [{"kind": f"key {row}", "name": str(owner)}, {"kind": "user", "name": str(owner)}]


@pytest.mark.django_db
def test_an_operators_cancel_has_one_record() -> None:
    run = make_run("pending")
    operations.cancel(run.id, ADA, reason="enough")
    assert records(run.id) == [("cancel", "command", "enough", "cancelled before it was executing")]
    other = make_run("pending")
    cancellation.cancel(other.id, action=CancelAction.INTERRUPT)
    assert not records(other.id)


async def test_the_sites_own_code_is_on_record(driver: Driver) -> None:
    user = await in_database(get_user_model().objects.get, pk=driver.principal.user_id)
    started = await agents.astart("sleeping", {"log": [], "delay": 60}, user=user)
    await agents.acancel(started.id, user=user)
    (record,) = await in_database(records, started.id)
    assert record[:2] == ("cancel", "code")
    client = await in_database(sign_in, is_superuser=True)
    facts = await in_database(part, client, Run(id=started.id), "facts")
    assert facts["by"] == {"kind": "code", "name": str(user)}


@pytest.mark.django_db(transaction=True)
def test_a_cron_that_a_person_fires_names_the_person(run_settings: Any) -> None:
    client, cron = sign_in(is_superuser=True), make_cron()
    client.post("/admin/runs/cron/", {"action": "fire_now", "_selected_action": [cron.pk]})
    run = Run.objects.get()
    assert records(run.id) == [("fire", "admin", "", f"from cron {cron.id}")]
    facts = part(client, run, "facts")["by"]
    assert (facts["kind"], facts["for"]) == ("admin", str(cron.user))


@pytest.mark.django_db(transaction=True)
def test_pauses_drains_and_deletions_are_on_record_from_commands_and_the_admin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    agents_command = Agents(capsys)
    client, worker, threads = sign_in(is_superuser=True), make_worker(), [make_thread(), make_thread()]
    agents_command("queues", "pause", "night", "--reason", "deploy")
    paused = PausedQueue.objects.get(name="night")
    assert (paused.who, paused.origin, paused.reason) == (operator().name, "command", "deploy")
    assert f"by {operator().name} (command)" in client.get("/admin/runs/pausedqueue/").content.decode()
    agents_command("queues", "resume", "night", "--reason", "done")
    agents_command("queues", "resume", "night")
    agents_command("workers", "drain", str(worker.id))
    agents_command("threads", "delete", str(threads[0].id), "--yes")
    client.post("/admin/runs/pausedqueue/pause/", {"queue": "night", "reason": "again"})
    action = {"action": "remove_threads", "_selected_action": [threads[1].pk], "confirmed": "1"}
    client.post("/admin/threads/thread/", action)

    rows = SiteAction.objects.order_by("id").values_list("kind", "subject", "origin", "reason")
    assert list(rows) == [
        ("pause", "night", "command", "deploy"),
        ("resume", "night", "command", "done"),
        ("drain", str(worker), "command", ""),
        ("delete", str(threads[0].id), "command", ""),
        ("pause", "night", "admin", "again"),
        ("delete", str(threads[1].id), "admin", ""),
    ]
    page = client.get("/admin/runs/siteaction/").content.decode()
    assert "drained a worker" in page and operator().name in page
