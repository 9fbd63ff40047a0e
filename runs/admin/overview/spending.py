"""The admin's page of tokens and costs by model and day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from runs.admin.rights import refused
from runs.lifecycle.operators import costs, spending
from runs.lifecycle.operators.spending import Day

VIEW = "runs.view_run"
WIDTH, HEIGHT = 20, 60


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the page.

    Args:
        context: Of the admin's site.
    """
    if not request.user.has_perm(VIEW):  # type: ignore[union-attr]
        return refused(VIEW)
    found = spending.of_last_days()
    rows = [
        {
            "day": day,
            "cost": _amount(day.cost),
            "models": [(use, _amount(use.cost)) for use in day.models],
        }
        for day in found.days
    ]
    more = {
        "title": "Tokens and costs by day", "rows": rows, "since": found.since, "most": spending.MOST,
        "days": spending.DAYS, "priced": any(day.cost is not None for day in found.days),
        "bars": bars(found.days), "width": WIDTH * max(1, len(found.days)), "height": HEIGHT,
    }  # fmt: skip
    return TemplateResponse(request, "admin/runs/overview/spending.html", {**context, **more})


def _amount(cost: float | None) -> str:
    return "–" if cost is None else costs.shown(cost)


def bars(days: Sequence[Day]) -> list[dict[str, Any]]:
    """The days' costs as bars, the oldest first; their tokens where no model has a price. Pure."""
    priced = any(day.cost for day in days)
    sizes = [(day.cost or 0.0) if priced else day.tokens for day in days]
    most = max(sizes, default=0) or 1
    found = []
    for place, (day, size) in enumerate(reversed(list(zip(days, sizes, strict=True)))):
        height = round(HEIGHT * size / most, 1)
        label = f"{day.day:%Y-%m-%d}: {_amount(day.cost) + ', ' if priced else ''}{day.tokens:,} tokens"
        found.append({"x": place * WIDTH + 2, "y": HEIGHT - height, "height": height, "label": label})
    return found
