"""Tokens and costs by model and day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from runs.admin.overview.spending import bars
from runs.lifecycle.operators import spending
from runs.lifecycle.operators.spending import by_day, of_last_days
from tests.support.admin_site import staff
from tests.support.rows import make_run

PAGE = "/admin/runs/overview/spending/"
DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def client(db: None) -> Client:
    return staff("view_run")


def test_days_and_models_with_their_sums(client: Client, run_settings: Any) -> None:
    run_settings(MODEL_PRICES={"gpt": (1.0, 10.0)})
    for age, usage in (
        (0, {"gpt-5": [1_000_000, 100_000]}),
        (0, {"gpt-5": [1, 2], "local": [10, 20]}),
        (DAY, {"local": [3, 4]}),
    ):
        make_run("success", age=age + 60, usage=usage)
    make_run("success", age=40 * DAY, usage={"gpt-5": [9, 9]})
    make_run("success")
    found = of_last_days()
    assert [(use.model, use.runs, use.input) for day in found.days for use in day.models] == [
        ("gpt-5", 2, 1_000_001), ("local", 1, 10), ("local", 1, 3),
    ]  # fmt: skip
    assert (found.days[0].cost, found.days[1].cost, found.since) == (pytest.approx(2.000021), None, None)
    text = client.get(PAGE).content.decode()
    assert "All models" in text
    assert "2.00" in text
    assert text.count('class="whole"') == 2


def test_without_prices_tokens_are_drawn_and_the_setting_is_named(client: Client) -> None:
    make_run("success", age=60, usage={"<b>local</b>": [10, 20]})
    text = client.get(PAGE).content.decode()
    assert "MODEL_PRICES" in text
    assert "<b>local" not in text
    assert "30 tokens" in text


def test_without_tokens_it_says_so(client: Client) -> None:
    make_run("success")
    assert "No run of these days" in client.get(PAGE).content.decode()


def test_a_bound_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "MOST", 2)
    for age in (30, 20, 10):
        make_run("success", age=age, usage={"m": [1, 1]})
    found = of_last_days()
    assert (sum(day.tokens for day in found.days), found.since is not None) == (4, True)
    assert "there were more" in client.get(PAGE).content.decode()


def test_bars_are_of_costs_or_else_of_tokens() -> None:
    at = datetime(2026, 11, 28, 12, tzinfo=UTC)
    days = list(
        by_day(
            [(at, {"m": [50, 50]}), (at - timedelta(days=1), {"m": [25, 25]}), (at - timedelta(days=2), None)]
        )
    )
    assert [(bar["height"], bar["x"]) for bar in bars(days)] == [(0.0, 2), (30.0, 22), (60.0, 42)]
    assert bars([]) == []
