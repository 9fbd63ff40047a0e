"""The queries on runs, and the transitions of the state machine: every status change of a stored run is one of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connection, models
from django.db.models import F
from django.db.models.functions import Coalesce

from threads.db import statements
from threads.filters import belonging
from threads.models.querysets import Principal

if TYPE_CHECKING:
    from runs.models.assistant import Assistant  # noqa: F401 - named in the strings below
    from runs.models.run import Run  # noqa: F401 - named in the strings below
    from runs.models.worker import Worker  # noqa: F401 - named in the strings below

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED = (
    "pending", "running", "success", "error", "timeout", "interrupted",
)  # fmt: skip
IN_FLIGHT = (PENDING, RUNNING)
TERMINAL = frozenset({SUCCESS, ERROR, TIMEOUT, INTERRUPTED})
#: The transitions of the state machine in `Run`'s docstring.
ARROWS = frozenset(
    {
        (PENDING, RUNNING),
        (PENDING, INTERRUPTED),
        (PENDING, ERROR),
        (RUNNING, PENDING),
        (RUNNING, SUCCESS),
        (RUNNING, ERROR),
        (RUNNING, TIMEOUT),
        (RUNNING, INTERRUPTED),
    }
)


def check_arrow(source: str, target: str) -> None:
    """Raise ValueError for a transition that the state machine does not have."""
    if (source, target) not in ARROWS:
        raise ValueError(f"A run cannot go from {source} to {target}.")


class AssistantQuerySet(models.QuerySet["Assistant"]):
    def for_principal(self, principal: Principal) -> AssistantQuerySet:
        """The principal's own assistants, and the system's, which all users share."""
        return self.filter(belonging(principal, "assistants", systems=True), deleted_at__isnull=True)

    def deleted(self) -> AssistantQuerySet:
        """Hidden assistants, whose rows are kept for the runs that refer to them."""
        return self.filter(deleted_at__isnull=False)


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self, now: datetime) -> WorkerQuerySet:
        return self.filter(stopped_at__isnull=True, lease_expires_at__gt=now)


class RunQuerySet(models.QuerySet["Run"]):
    def for_principal(self, principal: Principal) -> RunQuerySet:
        """The principal's own runs; the handlers of an Auth file filter runs by their threads."""
        return self.filter(belonging(principal, "threads", "thread__metadata"))

    def in_flight(self) -> RunQuerySet:
        return self.filter(status__in=IN_FLIGHT)

    def owned_by(self, workers: Iterable[uuid.UUID]) -> RunQuerySet:
        return self.filter(status=RUNNING, worker__in=list(workers))

    def move(self, source: str, target: str, /, *, now: datetime, **changes: Any) -> bool:
        """Move the one run of this queryset from `source` to `target`; return whether it was there.

        Raises ValueError for a transition that the state machine does not have.
        """
        check_arrow(source, target)
        if target in TERMINAL:
            # The user's details from the Auth file may contain secrets, and are no longer needed.
            changes.update(finished_at=now, worker=None, auth_details=None)
        return self.filter(status=source).update(status=target, updated_at=now, **changes) == 1

    def claim(self, run_id: uuid.UUID, *, worker_id: uuid.UUID, epoch: int, now: datetime) -> bool:
        """Give a pending run to a worker, under the thread's new epoch."""
        return self.filter(id=run_id, epoch__lt=epoch).move(
            PENDING, RUNNING, now=now, worker=worker_id, epoch=epoch, attempt=F("attempt") + 1,
            started_at=Coalesce("started_at", now),
        )  # fmt: skip

    def claim_candidates(
        self,
        candidates: str,
        parameters: Mapping[str, Any],
        *,
        worker_id: uuid.UUID,
        limit: int,
        now: datetime,
    ) -> list[uuid.UUID]:
        """Assign the first pending candidates on unlocked threads to a worker, in one statement.

        For PostgreSQL. Each candidate is checked again under its thread's lock, in case another
        worker has claimed it.

        Args:
            candidates: A WITH clause that ends with a table `candidates (id, thread_id, turn)`.
        """
        check_arrow(PENDING, RUNNING)
        runs, threads = self.model._meta.db_table, apps.get_model("threads", "Thread")._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(
                f"""{candidates}, locked AS MATERIALIZED (
                    SELECT c.id, c.turn, t.epoch + 1 AS epoch
                    FROM candidates c JOIN {threads} t ON t.id = c.thread_id
                    ORDER BY c.turn LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED
                ), claimed AS (
                    UPDATE {runs} r SET status = 'running', worker_id = %(worker)s, epoch = l.epoch,
                        attempt = r.attempt + 1, updated_at = %(at)s, started_at = coalesce(r.started_at, %(at)s)
                    FROM locked l WHERE r.id = l.id AND r.status = 'pending' AND r.epoch < l.epoch
                    RETURNING r.id, r.thread_id, r.epoch, l.turn
                ), raised AS (
                    UPDATE {threads} t SET epoch = c.epoch FROM claimed c WHERE t.id = c.thread_id
                )
                SELECT id FROM claimed ORDER BY turn""",
                {**parameters, "worker": worker_id, "limit": limit, "at": now},
            )
            return [run_id for (run_id,) in cursor.fetchall()]

    def settle(self, run_id: uuid.UUID, *, epoch: int, status: str, now: datetime, **changes: Any) -> bool:
        """Write the final status of a running run as its owner; False if another process owns it."""
        return bool(self.settle_each([{"id": run_id, "epoch": epoch, "status": status, **changes}], now=now))

    def settle_each(self, ended: Sequence[Mapping[str, Any]], *, now: datetime) -> set[uuid.UUID]:
        """Write the final statuses of running runs as their owner; return the ids of the runs that
        the caller still owned.

        Args:
            ended: For each run its id, its epoch, its final status, and other changed columns.
        """
        for each in ended:
            check_arrow(RUNNING, each["status"])
        changes = {"finished_at": now, "updated_at": now, "worker_id": None, "auth_details": None}
        return statements.update_each(
            self.model, ended, changes, by=("id", "epoch"), where={"status": RUNNING}
        )

    def requeue(self, run_id: uuid.UUID, *, epoch: int, now: datetime, lost: bool, **changes: Any) -> bool:
        """Requeue a running run; `lost` charges the attempt, a drain does not."""
        return self.filter(id=run_id, epoch=epoch).move(
            RUNNING,
            PENDING,
            now=now,
            worker=None,
            requeue_requested_at=None,
            lost_attempts=F("lost_attempts") + int(lost),
            **changes,
        )

    def requeue_all(self, *, now: datetime, lost: bool) -> int:
        """Requeue the running runs of this queryset. The caller has locked their threads under the
        runs' epochs.
        """
        check_arrow(RUNNING, PENDING)
        return self.filter(status=RUNNING).update(
            status=PENDING,
            updated_at=now,
            worker=None,
            requeue_requested_at=None,
            lost_attempts=F("lost_attempts") + int(lost),
        )

    def request_cancel(self, run_id: uuid.UUID, action: str, *, now: datetime) -> bool:
        """Ask the owner of a running run to stop it; the first request wins."""
        return (
            self.filter(id=run_id, status=RUNNING, cancel_action="").update(
                cancel_action=action, cancel_requested_at=now, updated_at=now
            )
            == 1
        )

    def request_requeue(self, run_id: uuid.UUID, *, now: datetime) -> bool:
        """Ask the owner of a running run to stop it at its next step, so that it is claimed again."""
        asked = self.filter(id=run_id, status=RUNNING, cancel_action="", requeue_requested_at=None)
        return asked.update(requeue_requested_at=now) == 1
