"""The admin's dashboard."""

from __future__ import annotations

from typing import Any

import pytest

from runs.admin.overview.dashboard import HEIGHT, bars
from runs.lifecycle.operators.activity import Hour
from runs.models import Worker
from tests.support.admin_site import staff
from tests.support.rows import make_run, make_worker
from threads.db import clock

pytestmark = pytest.mark.django_db
PAGE = "/admin/runs/overview/"


def test_it_says_what_executes_waits_failed_and_who_works() -> None:
    client = staff("view_run")
    empty = client.get(PAGE)
    assert empty.status_code == 200
    assert "No process has executed runs within the last day." in empty.content.decode()
    Worker.objects.all().delete()
    make_run("pending")
    make_run("running")
    make_run("error", error={"error": "E", "message": "m"})
    killed = make_worker(stopped=True)
    Worker.objects.filter(id=killed.id).update(killed_at=clock.now())
    response = client.get(PAGE)
    context, text = response.context, response.content.decode()
    assert (context["running"], context["pending"], context["activity"].failed) == (1, 1, 1)
    assert context["oldest"]
    assert "Killed" in text
    assert "3 runs, 1 failed" in text


def test_it_sums_up_tokens_and_costs_by_model(settings: Any) -> None:
    client = staff("view_run")
    for received in (1_000_000, 2_000_000):
        make_run("success", usage={"gpt-5": [received, 0], "other": [1, 2]})
    without = client.get(PAGE).content.decode()
    assert "gpt-5" in without
    assert "Cost" not in without
    settings.RUNS = {**settings.RUNS, "MODEL_PRICES": {"gpt": (1.5, 2)}}
    context = client.get(PAGE).context
    assert [(use.model, use.runs, use.input, cost) for use, cost in context["models"]] == [
        ("gpt-5", 2, 3_000_000, "4.50"), ("other", 2, 2, "–"),
    ]  # fmt: skip


def test_it_is_for_people_who_may_view_runs() -> None:
    assert staff("view_thread").get(PAGE).status_code == 403


def test_bars_share_one_scale() -> None:
    [low, high] = bars([Hour(clock.now(), runs=5, failed=5), Hour(clock.now(), runs=10, failed=0, tokens=7)])
    assert (low["failed"], low["height"]) == (HEIGHT / 2, 0)
    assert (high["height"], high["y"], high["failed"]) == (HEIGHT, 0, 0)
    assert "7 tokens" in high["label"]
