"""What is on record: who asked what of a run, or of something else on the site, from where, why, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model

from runs.models import RunAction, SiteAction
from threads.db import clock
from threads.db.ids import UserId
from threads.db.values.text import storable
from threads.models.querysets import Principal

#: The most characters of a reason.
LONGEST_REASON = 2000
#: Among how many of a run's newest records an earlier request is looked for.
LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Operator:
    """The person who acts, and the interface: `admin`, `api`, `code` or `command`.

    Args:
        user_id: The user of this site; None for a command, whose `name` is the system's user.
        bulk_id: The bulk action that acts for the person.
        request: The client's own name of what it asks for. Asked for twice, as after a lost answer, it makes one
            run.
    """

    name: str
    origin: str
    user_id: UserId | None = None
    bulk_id: UUID | None = None
    request: str = ""


def caller(principal: Principal) -> Operator:
    """Who calls this site's API or code; one query."""
    user: Any = get_user_model()
    name = user.objects.filter(pk=principal.user_id).values_list(user.USERNAME_FIELD, flat=True).first()
    asked_by = getattr(principal, "asked_by", {})
    who = str(name or principal.user_id)
    if key := asked_by.get("name"):
        who = f"{who}, by the key {key}"
    return Operator(who, "code" if asked_by.get("by") == "code" else "api", principal.user_id)


def record(
    run_id: UUID,
    kind: str,
    by: Operator,
    outcome: str,
    *,
    reason: str = "",
    thread_id: UUID | None = None,
    **detail: Any,
) -> None:
    """Put what a person asked of a run on record, in the caller's transaction.

    Args:
        thread_id: The thread, for a record that outlives its run (`RunAction.thread_id`).
        detail: What was asked in detail, as JSON.
    """
    if by.bulk_id is not None:
        detail["bulk"] = str(by.bulk_id)
    if by.request:
        detail["request"] = by.request
    RunAction.objects.create(
        run_id=run_id,
        kind=kind,
        reason=storable(reason.strip()[:LONGEST_REASON]),
        user_id=by.user_id,
        who=storable(by.name[:255]),
        origin=by.origin,
        outcome=outcome,
        detail=detail,
        thread_id=thread_id,
        created_at=clock.now(),
    )


def made_before(run_id: UUID, by: Operator) -> UUID | None:
    """The run that an operator's same request has made of this one already."""
    if not by.request:
        return None
    newest = RunAction.objects.filter(run_id=run_id).order_by("-id").values_list("detail", flat=True)
    for detail in newest[:LOOKED_AT]:
        if detail.get("request") == by.request and detail.get("run"):
            return UUID(detail["run"])
    return None


def record_on_site(kind: str, subject: str, by: Operator, *, reason: str = "") -> None:
    """Put what a person did with a queue, a worker or a thread on record, in the caller's transaction."""
    SiteAction.objects.create(
        kind=kind,
        subject=storable(subject[:255]),
        reason=storable(reason.strip()[:LONGEST_REASON]),
        user_id=by.user_id,
        who=storable(by.name[:255]),
        origin=by.origin,
        created_at=clock.now(),
    )
