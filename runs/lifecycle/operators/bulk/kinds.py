"""What a bulk action does with one run, and which runs it cannot act on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from runs.exceptions import InvalidRequest
from runs.lifecycle.operators import operations
from runs.lifecycle.operators.operations import HIGHEST, LONGEST_REASON, LOWEST, Operator
from runs.models import BulkAction, BulkKind, RunStatus
from runs.models.querysets import IN_FLIGHT, TERMINAL


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of bulk action."""

    act: Callable[[UUID, Operator, BulkAction], Any]
    #: The statuses of the runs that it acts on.
    statuses: Collection[str]
    #: What happens to runs, after "will be"; what cannot happen to others and why, after "cannot be".
    will: str
    cannot: str


def _cancel(run_id: UUID, by: Operator, bulk: BulkAction) -> None:
    operations.cancel(run_id, by, reason=bulk.reason)


def _roll_back(run_id: UUID, by: Operator, bulk: BulkAction) -> None:
    operations.cancel(run_id, by, reason=bulk.reason, roll_back=True)


def _retry(run_id: UUID, by: Operator, bulk: BulkAction) -> None:
    operations.retry(run_id, by, reason=bulk.reason)


def _requeue(run_id: UUID, by: Operator, bulk: BulkAction) -> None:
    operations.requeue(run_id, by, reason=bulk.reason)


def _set_priority(run_id: UUID, by: Operator, bulk: BulkAction) -> None:
    operations.set_priority(run_id, by, bulk.arguments["priority"], reason=bulk.reason)


def _reconcile(run_id: UUID, by: Operator, bulk: BulkAction) -> None:
    operations.reconcile(run_id, by, reason=bulk.reason)


#: The words of `Kind.will` and `Kind.cannot` for one run and for several.
ONE = {
    "it": "it",
    "they": "it",
    "its": "its",
    "have": "has",
    "are": "is",
    "do": "does",
    "s": "",
    "new": "a new run",
}
MANY = {
    "it": "them", "they": "they", "its": "their", "have": "have", "are": "are", "do": "do", "s": "s", "new": "new runs",
}  # fmt: skip
ENDED, NOT_RUNNING = "because {they} {have} ended", "because {they} {are} not running"
KINDS: dict[str, Kind] = {
    BulkKind.CANCEL: Kind(_cancel, IN_FLIGHT, "stopped; {its} checkpoints are kept", f"cancelled {ENDED}"),
    BulkKind.ROLL_BACK: Kind(
        _roll_back, IN_FLIGHT,
        "stopped and removed with {its} events and checkpoints, and {its} thread{s} put back to the state from "
        "before {it}. This cannot be undone",
        f"cancelled {ENDED}",
    ),
    BulkKind.RETRY: Kind(
        _retry, TERMINAL, "repeated as {new}, from where {they} began",
        "retried because {they} {have} not ended",
    ),
    BulkKind.REQUEUE: Kind(
        _requeue, (RunStatus.RUNNING,),
        "asked to stop at the next step and go back to the queue; no attempt is charged",
        f"requeued {NOT_RUNNING}",
    ),
    BulkKind.PRIORITY: Kind(
        _set_priority, (RunStatus.PENDING,), "given another place in the queue",
        "moved because {they} {do} not wait in a queue",
    ),
    BulkKind.RECONCILE: Kind(
        _reconcile, (RunStatus.RUNNING,),
        "settled if the process that executed {it} has died: resumed, or ended in an error, as the policy says",
        f"reconciled {NOT_RUNNING}",
    ),
}  # fmt: skip


def checked(kind: str, arguments: dict[str, Any], reason: str) -> tuple[dict[str, Any], str]:
    """The arguments and the reason of a new bulk action. Raises InvalidRequest."""
    if kind not in KINDS:
        raise InvalidRequest(f"There is no bulk action {kind!r}.")
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise InvalidRequest(f"The reason has more than {LONGEST_REASON:,} characters.")
    if kind != BulkKind.PRIORITY:
        return {}, reason
    priority: Any = arguments.get("priority")
    whole = isinstance(priority, int) and not isinstance(priority, bool)
    if not whole or not LOWEST <= priority <= HIGHEST:
        raise InvalidRequest(f"The priority must be a whole number between {LOWEST:,} and {HIGHEST:,}.")
    return {"priority": priority}, reason
