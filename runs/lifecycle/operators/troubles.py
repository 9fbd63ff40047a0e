"""What needs a person now: each kind is one bounded query, and names the row that tells the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, Subquery

from runs.conf import settings
from runs.models import Attempt, DeliveryState, Run, RunEvent, RunStatus, WebhookDelivery, Worker
from threads.db import clock
from threads.db.ids import first_id

#: The most of each kind.
MOST = 5
#: The most failed runs that are grouped, and the most executing runs and deliveries that are looked at.
LOOKED_AT = 200
#: A run is silent when it has streamed nothing for this share of `IDLE_TIMEOUT`; seconds without that limit.
SILENT_SHARE, SILENT = 0.1, 180.0
#: A user crowds the others when so many of the waiting runs, and this share of them, are theirs.
CROWD, CROWD_SHARE = 10, 0.5
#: For how long a killed worker and an abandoned webhook are told.
LATELY = timedelta(hours=1)
#: Lost attempts are looked for among runs that were created within it.
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """Failed runs of one graph with one kind of error; each is the newest run of its thread."""

    run_id: UUID
    count: int
    graph: str
    #: The node that failed; "" when the run failed outside of nodes.
    node: str
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Silent:
    """An executing run that has streamed nothing for long."""

    run_id: UUID
    graph: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Killed:
    """A worker whose process ended without giving up its lease."""

    worker: Worker
    #: Its runs that no other process has taken over yet.
    waiting: int
    #: Its attempts that others have found lost.
    lost: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """A user to whom most of the waiting runs belong."""

    username: str
    pending: int
    of: int


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Webhooks to one host that were abandoned."""

    host: str
    count: int
    #: The newest one.
    delivery_id: UUID
    why: str


def failures(run_ids: Sequence[UUID]) -> list[Failure]:
    """These failed runs in groups, without those after which their threads had another run.

    Args:
        run_ids: Of failed runs, the newest first.
    """
    later = Run.objects.filter(thread=OuterRef("thread"), created_at__gt=OuterRef("created_at"))
    found = Run.objects.filter(~Exists(later), id__in=run_ids[:LOOKED_AT]).order_by("-id")
    groups: dict[tuple[str, str], list[UUID]] = {}
    errors: dict[UUID, dict[str, str]] = {}
    for run_id, graph, error in found.values_list("id", "assistant__graph_id", "error"):
        errors[run_id] = error or {}
        groups.setdefault((graph, errors[run_id].get("error", "")), []).append(run_id)
    shown = list(groups.items())[:MOST]
    nodes = dict(Run.objects.filter(id__in=[ids[0] for _, ids in shown]).values_list("id", "failure"))
    return [
        Failure(
            ids[0],
            len(ids),
            graph,
            (nodes.get(ids[0]) or {}).get("node") or "",
            error,
            errors[ids[0]].get("message", ""),
        )
        for (graph, error), ids in shown
    ]


def silent() -> list[Silent]:
    """Those of the longest executing runs that say nothing, the longest silent first."""
    limit = SILENT_SHARE * settings.IDLE_TIMEOUT or SILENT
    now = clock.now()
    bound = now - timedelta(seconds=limit)
    last = RunEvent.objects.filter(run=OuterRef("id")).order_by("-epoch", "-seq").values("created_at")[:1]
    running = Run.objects.filter(status=RunStatus.RUNNING, started_at__lte=bound)
    running = running.filter(worker__stopped_at=None, worker__lease_expires_at__gt=now)
    rows = (
        running.order_by("started_at")
        .annotate(said_at=Subquery(last))
        .values_list("id", "assistant__graph_id", "started_at", "said_at")[:LOOKED_AT]
    )
    found = [
        Silent(run_id, graph, since)
        for run_id, graph, began, said in rows
        if (since := max(filter(None, (began, said)))) <= bound
    ]
    return sorted(found, key=lambda each: each.since)[:MOST]


def killed() -> list[Killed]:
    """Workers that were killed lately while they executed runs, the newest first."""
    now = clock.now()
    lately = Q(killed_at__gt=now - LATELY) | Q(stopped_at=None, lease_expires_at__lte=now)
    workers = list(Worker.objects.filter(lately).order_by("-id")[:LOOKED_AT])
    if not workers:
        return []
    ids = [worker.id for worker in workers]
    left = Run.objects.filter(worker__in=ids, status=RunStatus.RUNNING).order_by()
    waiting = dict(left.values_list("worker_id").annotate(Count("id")))
    ended = Attempt.objects.filter(run_id__gte=first_id(now - DAY), worker_id__in=ids, reason="lost")
    lost = dict(ended.values_list("worker_id").annotate(Count("number")))
    found = [Killed(each, waiting.get(each.id, 0), lost.get(each.id, 0)) for each in workers]
    return [each for each in found if each.waiting or each.lost][:MOST]


def crowds() -> list[Crowd]:
    """At most one: the user who fills the queues."""
    pending = Run.objects.filter(status=RunStatus.PENDING, due_at__lte=clock.now())
    rows = pending.order_by().values_list("user__username").annotate(count=Count("id")).order_by("-count")
    counted = list(rows[:LOOKED_AT])
    total = sum(count for _, count in counted)
    return [
        Crowd(name, count, total)
        for name, count in counted[:1]
        if count >= CROWD and count > CROWD_SHARE * total and len(counted) > 1
    ]


def undelivered() -> list[Undelivered]:
    rows = (
        WebhookDelivery.objects.filter(finished_at__gt=clock.now() - LATELY, state=DeliveryState.FAILED)
        .order_by("-finished_at")
        .values_list("id", "host", "status_code", "last_error")[:LOOKED_AT]
    )
    hosts: dict[str, list[tuple[UUID, str]]] = {}
    for delivery_id, host, code, error in rows:
        hosts.setdefault(host, []).append((delivery_id, error or f"answered {code}"))
    return [Undelivered(host, len(each), *each[0]) for host, each in list(hosts.items())[:MOST]]
