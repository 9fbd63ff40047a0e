"""What tokens cost, by the site's prices (`MODEL_PRICES`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runs.conf import settings

MILLION = 1_000_000
#: Input tokens and output tokens, by the model's name.
Usage = Mapping[str, Iterable[int]]


@dataclass(slots=True)
class Cost:
    """A sum, in the currency of the prices, and the models without a price, which are not in it."""

    amount: float = 0.0
    unpriced: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ModelUse:
    """What runs used of one model; `cost` is None without a price."""

    model: str
    runs: int = 0
    input: int = 0
    output: int = 0
    cost: float | None = None


def cost_of(model: str, received: int, sent: int) -> float | None:
    """The cost of a model's tokens; None if it has no price."""
    prices = settings.MODEL_PRICES
    name = max((each for each in prices if model.startswith(each)), key=len, default=None)
    if name is None:
        return None
    of_input, of_output = prices[name]
    return float((received * of_input + sent * of_output) / MILLION)


def cost(usage: Usage | None) -> Cost | None:
    """The cost of a run's usage; None if it used nothing, or the site has no prices."""
    if not usage or not settings.MODEL_PRICES:
        return None
    found = Cost()
    for model, (received, sent) in sorted(usage.items()):
        if (amount := cost_of(model, received, sent)) is None:
            found.unpriced.append(model)
        else:
            found.amount += amount
    return found if len(found.unpriced) < len(usage) else None


def by_model(usages: Iterable[Usage | None]) -> list[ModelUse]:
    """What runs used, by model: the dearest first, then those with the most tokens."""
    found: dict[str, ModelUse] = {}
    for usage in usages:
        for model, (received, sent) in (usage or {}).items():
            use = found.setdefault(model, ModelUse(model))
            use.runs += 1
            use.input += received
            use.output += sent
    for use in found.values():
        use.cost = cost_of(use.model, use.input, use.output)
    return sorted(found.values(), key=lambda use: (-(use.cost or 0), -(use.input + use.output), use.model))


def shown(amount: float) -> str:
    """An amount with two digits after the point; a small one with its first two digits."""
    if amount and amount < 0.0001:
        return "< 0.0001"
    return f"{amount:.2g}" if 0 < amount < 0.1 else f"{amount:,.2f}"
