"""The runs of a thread's agent stream (`runs.events.agent_stream`), in the stream's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Case, F, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce

from runs.models import Run
from runs.models.querysets import TERMINAL, RunQuerySet
from threads.models import Thread, ThreadStatus
from threads.models.querysets import Principal

#: Runs that one query reads.
RUNS_EACH = 200


@dataclass(frozen=True, slots=True)
class StreamedRun:
    """The columns of a run that the agent stream needs."""

    id: UUID
    status: str
    epoch: int
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    error: dict[str, str] | None
    #: The present graph of its assistant.
    graph_name: str
    created_at: datetime
    assistant_changed_at: datetime

    @property
    def graph_known(self) -> bool:
        """Whether the assistant is unchanged since the run was created. If not, the run's own row
        names its graph.
        """
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
#: For a run that ended while waiting: the present epoch of the run that executed then, which later attempts
#: may have raised.
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
    """The principal's runs on a thread that is not discarded."""
    return Run.objects.for_principal(principal).filter(thread=thread_id, thread__discarded_at__isnull=True)


def runs_of(
    thread_id: UUID, *, principal: Principal, epoch: int, but: Iterable[UUID] = ()
) -> list[StreamedRun]:
    """A thread's next runs from an epoch on that have events, in the stream's order."""
    runs = runs_on(thread_id, principal=principal).annotate(place=PLACE)
    there = runs.filter(
        Q(attempt__gt=0, epoch__gte=epoch) | Q(attempt=0, status__in=TERMINAL, place__gte=epoch)
    )
    ordered = there.exclude(id__in=list(but)).order_by("place", "-attempt", "finished_at", "id")
    columns = ("place" if name == "epoch" else name for name in COLUMNS)
    return [StreamedRun(*row) for row in ordered.values_list(*columns)[:RUNS_EACH]]


def run_of(run_id: UUID) -> StreamedRun | None:
    row = Run.objects.filter(id=run_id).values_list(*COLUMNS).first()
    return StreamedRun(*row) if row is not None else None


def graph_of(run: StreamedRun) -> str:
    """The graph that a run was created for."""
    row = (
        Run.objects.filter(id=run.id)
        .select_related("assistant")
        .only("kwargs", "assistant__graph_id")
        .first()
    )
    return row.graph_id if row is not None else run.graph_name


def latest_of(thread_id: UUID, *, principal: Principal, run_id: UUID | None) -> StreamedRun | None:
    """The run of a thread that started last, or a given run if it has started."""
    runs = runs_on(thread_id, principal=principal).filter(attempt__gt=0)
    if run_id is not None:
        runs = runs.filter(id=run_id)
    row = runs.order_by("-epoch").values_list(*COLUMNS).first()
    return StreamedRun(*row) if row is not None else None


def last_ends(thread_id: UUID, *, principal: Principal) -> tuple[list[int], bool]:
    """The epochs of the last two runs that have ended, the newest first; and whether the thread is at rest:
    no run is in flight, and nothing waits for an answer.
    """
    runs = runs_on(thread_id, principal=principal)
    ended = runs.filter(status__in=TERMINAL, epoch__gt=0).order_by("-epoch")
    found = list(ended.values_list("epoch", flat=True).distinct()[:2])
    waits = Thread.objects.filter(id=thread_id, status=ThreadStatus.INTERRUPTED).exists()
    in_flight = runs.in_flight().exists()
    return (found[1:] if waits and not in_flight else found), not (waits or in_flight)
