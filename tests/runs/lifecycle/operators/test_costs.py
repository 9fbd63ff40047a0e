"""What tokens cost, by the site's prices."""

from __future__ import annotations

from typing import Any

import pytest

from runs.checks.configuration import check_settings
from runs.lifecycle.operators.costs import by_model, cost, cost_of, shown

PRICES = {"gpt": (1.0, 2.0), "gpt-mini": [0.1, 0.2], "free": (0, 0)}


@pytest.fixture
def priced(settings: Any) -> None:
    settings.RUNS = {**settings.RUNS, "MODEL_PRICES": PRICES}


def test_the_longest_beginning_of_a_name_counts(priced: None) -> None:
    assert cost_of("gpt-5", 1_000_000, 500_000) == 2.0
    assert cost_of("gpt-mini-2", 1_000_000, 1_000_000) == pytest.approx(0.3)
    assert cost_of("free", 5, 5) == 0
    assert cost_of("other", 5, 5) is None


def test_models_without_a_price_are_named_and_not_in_the_sum(priced: None) -> None:
    found = cost({"gpt": [1_000_000, 0], "other": [7, 7]})
    assert found is not None
    assert (found.amount, found.unpriced) == (1.0, ["other"])
    assert cost({"other": [7, 7]}) is None
    assert cost(None) is None


def test_without_prices_there_is_no_cost() -> None:
    assert cost({"gpt": [1, 1]}) is None


def test_runs_are_summed_up_by_model(priced: None) -> None:
    found = by_model([{"gpt": [1, 2], "other": [9, 9]}, None, {"gpt": [3, 4]}])
    assert [(use.model, use.runs, use.input, use.output) for use in found] == [
        ("gpt", 2, 4, 6), ("other", 1, 9, 9),
    ]  # fmt: skip
    assert found[0].cost == pytest.approx(16e-6)
    assert found[1].cost is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "0.00"),
        (1234.5, "1,234.50"),
        (0.3, "0.30"),
        (0.0456, "0.046"),
        (0.00123, "0.0012"),
        (1e-6, "< 0.0001"),
    ],
)
def test_small_amounts_keep_their_digits(amount: float, text: str) -> None:
    assert shown(amount) == text


@pytest.mark.parametrize("price", [1, "1", (1,), (1, -2), (1, float("nan")), (True, 1), [1, "2"]])
def test_what_is_no_price_is_reported(settings: Any, price: Any) -> None:
    settings.RUNS = {**settings.RUNS, "MODEL_PRICES": {"gpt": price}}
    (problem,) = check_settings(None)
    assert problem.id == "runs.E025"
    settings.RUNS = {**settings.RUNS, "MODEL_PRICES": PRICES}
    assert not check_settings(None)
