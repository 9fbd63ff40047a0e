"""The runs of a thread's tape (`runs.events.agent_stream`), in the order in which they are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Case, F, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce

from runs.models import Run
from runs.models.querysets import TERMINAL, RunQuerySet
from threads.models.querysets import Principal

#: Runs that are looked up at once.
RUNS_EACH = 200


@dataclass(frozen=True, slots=True)
class TapeRun:
    """What the tape needs to know of a run."""

    id: UUID
    status: str
    epoch: int
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    error: dict[str, str] | None
    #: Of its assistant, as that is now.
    graph_name: str
    created_at: datetime
    assistant_changed_at: datetime

    @property
    def graph_known(self) -> bool:
        """Whether its assistant has been the same since; else the run itself knows which graph it was made for."""
        return self.assistant_changed_at <= self.created_at

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def begun(self) -> bool:
        return self.attempt > 0


COLUMNS = (
    "id", "status", "epoch", "attempt", "started_at", "finished_at", "error", "assistant__graph_id", "created_at",
    "assistant__updated_at",
)  # fmt: skip
#: The last epoch of the run that had the thread while another one ended waiting: a later attempt may have moved it on.
PASSED = (
    Run.objects.filter(
        thread=OuterRef("thread"),
        attempt__gt=1,
        epoch__gte=OuterRef("epoch"),
        started_at__lte=OuterRef("finished_at"),
    )
    .order_by("epoch")
    .values("epoch")[:1]
)
PLACE = Case(When(attempt=0, then=Coalesce(Subquery(PASSED), F("epoch"))), default=F("epoch"))


def runs_on(thread_id: UUID, *, principal: Principal) -> RunQuerySet:
    """The runs of a thread that is there, and this principal's."""
    return Run.objects.for_principal(principal).filter(thread=thread_id, thread__discarded_at__isnull=True)


def runs_of(thread_id: UUID, *, principal: Principal, epoch: int, but: Iterable[UUID] = ()) -> list[TapeRun]:
    """The next of a thread's runs from an epoch on that have something to be told, in the tape's order."""
    runs = runs_on(thread_id, principal=principal).annotate(place=PLACE)
    there = runs.filter(
        Q(attempt__gt=0, epoch__gte=epoch) | Q(attempt=0, status__in=TERMINAL, place__gte=epoch)
    )
    ordered = there.exclude(id__in=list(but)).order_by("place", "-attempt", "finished_at", "id")
    columns = ("place" if name == "epoch" else name for name in COLUMNS)
    return [TapeRun(*row) for row in ordered.values_list(*columns)[:RUNS_EACH]]


def run_of(run_id: UUID) -> TapeRun | None:
    row = Run.objects.filter(id=run_id).values_list(*COLUMNS).first()
    return TapeRun(*row) if row is not None else None


def graph_of(run: TapeRun) -> str:
    """The graph that a run was made for."""
    row = (
        Run.objects.filter(id=run.id)
        .select_related("assistant")
        .only("kwargs", "assistant__graph_id")
        .first()
    )
    return row.graph_id if row is not None else run.graph_name


def latest_of(thread_id: UUID, *, principal: Principal, run_id: UUID | None) -> TapeRun | None:
    """The run of a thread that began last, or a certain one if it has begun."""
    runs = runs_on(thread_id, principal=principal).filter(attempt__gt=0)
    if run_id is not None:
        runs = runs.filter(id=run_id)
    row = runs.order_by("-epoch").values_list(*COLUMNS).first()
    return TapeRun(*row) if row is not None else None
