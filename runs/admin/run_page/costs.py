"""What the steps of a run cost: calls of models, and all in which they lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runs.lifecycle.operators import costs
from runs.protocols.spans import Span


def add_costs(spans: Iterable[Span]) -> None:
    """Add `cost`, in words, to the details of spans; without prices to none."""
    known = {span.id: span for span in spans}
    sums: dict[str, float] = {}
    for span in known.values():
        if span.kind != "model" or (amount := _cost(span.name, span.detail.get("usage"))) is None:
            continue
        owner: Span | None = span
        while owner is not None:
            sums[owner.id] = sums.get(owner.id, 0.0) + amount
            owner = known.get(owner.parent)
    for span_id, amount in sums.items():
        known[span_id].detail["cost"] = costs.shown(amount)


def _cost(model: str, usage: Any) -> float | None:
    """The cost of a call by the usage that its model said."""
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) for name in ("input_tokens", "output_tokens")]
    received, sent = (each if isinstance(each, int) else 0 for each in counts)
    return costs.cost_of(model, received, sent)
