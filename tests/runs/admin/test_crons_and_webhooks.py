"""Crons and webhooks in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from runs.models import Cron, Run, WebhookDelivery
from tests.runs.crons.test_firing import make_cron
from tests.runs.webhooks.test_delivery import delivery_to
from tests.support.admin_site import page, sign_in, staff
from tests.support.rows import make_run, make_thread
from threads.db import clock

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_settings")]

CRONS, WEBHOOKS = "admin:runs_cron_changelist", "admin:runs_webhookdelivery_changelist"


def act(browser: Client, where: str, action: str, *rows: Any) -> str:
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return browser.post(reverse(where), data, follow=True).content.decode()


def operator() -> Client:
    return staff("view_cron", "view_webhookdelivery", "operate_run")


def test_the_lists_and_pages_show_what_is_due_and_why_it_failed(django_assert_max_num_queries: Any) -> None:
    crons = [
        make_cron(last_error="<b>no such thread</b>", overdue=-7200),
        make_cron(thread=make_thread(), enabled=False),
    ]
    failed = delivery_to(
        "https://example.com/x",
        state="failed",
        host="example.com:443",
        last_error="The receiver answered 500.",
    )
    browser = sign_in(is_superuser=True)
    with django_assert_max_num_queries(8):
        text = browser.get(reverse(CRONS)).content.decode()
    assert "&lt;b&gt;no such thread&lt;/b&gt;" in text
    assert "in 2.0 h" in text
    with django_assert_max_num_queries(8):
        text = browser.get(reverse(WEBHOOKS)).content.decode()
    assert "The receiver answered 500." in text
    for row in (*crons, failed):
        assert browser.get(page(row)).status_code == 200
    for query in (
        "state=enabled",
        "state=disabled",
        "state=failing",
        "state=x",
        f"q={crons[0].id}",
        "q=person",
    ):
        assert browser.get(f"{reverse(CRONS)}?{query}").status_code == 200
    for query in ("state=failed", f"q={failed.run_id}", "q=exam"):
        assert str(failed.pk) in browser.get(f"{reverse(WEBHOOKS)}?{query}").content.decode()


def test_a_cron_is_switched_off_and_on() -> None:
    cron, browser = make_cron(overdue=86_400), operator()
    assert "Disabled 1 cron." in act(browser, CRONS, "disable", cron)
    assert not Cron.objects.get().enabled
    assert "Enabled 1 cron." in act(browser, CRONS, "enable", cron)
    row = Cron.objects.get()
    assert row.enabled
    # Missed dates are not made up for.
    assert row.next_run_date is not None and row.next_run_date > clock.now()
    assert "Enabled 0 crons." in act(browser, CRONS, "enable", cron)
    assert LogEntry.objects.filter(object_id=str(cron.id)).count() == 2


def test_a_cron_is_fired_now() -> None:
    cron, other = make_cron(overdue=-3600), make_cron(overdue=-3600)
    Cron.objects.filter(id=other.id).update(payload={"stream_mode": "bogus"})
    text = act(operator(), CRONS, "fire_now", cron, other)
    assert "Fired 1 cron." in text
    assert "stream_mode.0: Input should be" in text
    assert Run.objects.get().metadata["cron_id"] == str(cron.id)
    assert Cron.objects.get(id=cron.id).next_run_date == cron.next_run_date


def test_a_webhook_that_was_given_up_is_tried_again() -> None:
    now = clock.now()
    failed = delivery_to("https://example.com/", state="failed", attempts=10, finished_at=now)
    sent = delivery_to("https://example.com/", state="delivered", attempts=1, finished_at=now)
    assert "1 webhook will be sent again" in act(operator(), WEBHOOKS, "send_again", failed, sent)
    row = WebhookDelivery.objects.get(id=failed.id)
    assert (row.state, row.attempts, row.finished_at) == ("pending", 0, None)
    assert row.due_at <= clock.now() + timedelta(seconds=1)
    assert WebhookDelivery.objects.get(id=sent.id).state == "delivered"


def test_who_may_only_look_changes_nothing() -> None:
    cron, browser = make_cron(), staff("view_cron", "view_webhookdelivery")
    failed = delivery_to("https://example.com/", state="failed", finished_at=clock.now())
    for action in ("enable", "disable", "fire_now"):
        act(browser, CRONS, action, cron)
    act(browser, WEBHOOKS, "send_again", failed)
    assert (Run.objects.count(), Cron.objects.get().enabled) == (0, True)
    assert WebhookDelivery.objects.get().state == "failed"


def test_a_page_hides_the_secrets_of_what_the_runs_are_made_of() -> None:
    cron = make_cron(
        payload={"config": {"configurable": {"api_key": "canary"}}, "context": {"token": "canary"}}
    )
    shown = sign_in(is_superuser=True).get(page(cron)).content.decode()
    assert "api_key" in shown
    assert "canary" not in shown


def test_a_crons_page_shows_its_next_times_and_its_last_runs() -> None:
    cron = make_cron(schedule="0 9 * * *", timezone="Europe/Berlin")
    mine = make_run("error", assistant=cron.assistant, metadata={"cron_id": str(cron.id)})
    other = make_run("success", assistant=cron.assistant)
    html = operator().get(page(cron)).content.decode()
    assert html.count("<br>") == 4
    assert "Run now</button>" in html and "Disable</button>" in html
    looking = staff("view_cron", "view_run").get(page(cron)).content.decode()
    assert "Run now</button>" not in looking
    assert page(mine) in looking and page(other) not in looking
    type(cron).objects.update(enabled=False)
    assert "Enable</button>" in operator().get(page(cron)).content.decode()


def test_a_webhooks_page_sends_it_again_or_says_why_not() -> None:
    failed = delivery_to("https://example.com/", state="failed", finished_at=clock.now())
    sent = delivery_to("https://example.com/", state="delivered", finished_at=clock.now())
    assert "Send again</button>" in operator().get(page(failed)).content.decode()
    html = operator().get(page(sent)).content.decode()
    assert "Send again</button>" not in html and "it is delivered." in html
