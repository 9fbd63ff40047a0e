"""How many runs a bulk action is about, and how many of them it cannot act on: bounded counts."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from runs.lifecycle.operators.bulk.kinds import KINDS, MANY, ONE
from runs.models import Run
from runs.models.querysets import RunQuerySet

#: The most runs that are counted.
COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    kind: str
    #: How many runs match, up to `COUNTED`, and how many of these it cannot act on.
    runs: int
    unable: int
    #: Whether more match than were counted.
    more: bool

    @property
    def impossible(self) -> bool:
        """Whether it cannot act on any of the runs."""
        return self.unable == self.runs and not self.more

    @property
    def sentence(self) -> str:
        kind = KINDS[self.kind]
        words = MANY if self.runs != 1 or self.more else ONE
        return f"{self._count} will be {kind.will.format_map(words)}."

    @property
    def refusal(self) -> str:
        """How many of the runs it cannot act on, and why; "" if it can act on all."""
        if not self.runs:
            return "No run matches."
        if not self.unable:
            return ""
        why = KINDS[self.kind].cannot.format_map(ONE if self.unable == 1 else MANY)
        if self.impossible:
            return f"{'This run' if self.runs == 1 else f'These {self.runs:,} runs'} cannot be {why}."
        return f"{self.unable:,} of {f'the first {self.runs:,}' if self.more else 'them'} cannot be {why}."

    @property
    def _count(self) -> str:
        if self.more:
            return f"More than {self.runs:,} runs"
        return "1 run" if self.runs == 1 else f"{self.runs:,} runs"


def estimate(kind: str, rows: RunQuerySet) -> Estimate:
    """What an action would meet now, in one query."""
    first = rows.order_by().values("id").distinct()[: COUNTED + 1]
    counted = Run.objects.filter(id__in=first).order_by().values("status").annotate(runs=Count("id"))
    by_status = {each["status"]: each["runs"] for each in counted}
    total = sum(by_status.values())
    unable = sum(runs for status, runs in by_status.items() if status not in KINDS[kind].statuses)
    more = total > COUNTED
    return Estimate(kind, min(total, COUNTED), min(unable, COUNTED), more)
