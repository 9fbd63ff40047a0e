"""The permissions of the admin's pages, the refusal of a page, and the record of payloads that people read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from runs.models import Run, RunAction
from threads.admin.base import READ_PAYLOADS, READING
from threads.db import clock

#: To read what people and graphs wrote; to act on runs, queues, workers, crons and webhooks.
READ, OPERATE = READ_PAYLOADS, "runs.operate_run"
VIEW_THREADS, DELETE_THREADS = "threads.view_thread", "threads.delete_thread"
#: What is recorded, by the record's kind.
OUTCOMES = {"read": "read inputs, outputs or logs", "export": "exported it with its whole log"}


def missing(request: HttpRequest, *permissions: str) -> str:
    """The first of the permissions that the person does not have, or ""."""
    user: Any = request.user
    return next((each for each in permissions if not user.has_perm(each)), "")


def refused(permission: str) -> HttpResponse:
    return HttpResponse(f"You need the permission {permission}.", status=403, content_type="text/plain")


def note_reading(run: Run, user: Any, kind: str = "read") -> None:
    """Record that a person reads payloads of a run, once an hour for each kind of `OUTCOMES`."""
    note_readings([run.id], user, kind)


def note_readings(run_ids: Collection[UUID], user: Any, kind: str = "read") -> None:
    """`note_reading` for several runs."""
    now = clock.now()
    of_person = RunAction.objects.filter(user=user, kind=kind, created_at__gt=now - READING)
    known = set(of_person.filter(run_id__in=run_ids).values_list("run_id", flat=True))
    RunAction.objects.bulk_create(
        RunAction(
            run_id=run_id, kind=kind, user=user, who=str(user)[:255], origin="admin", outcome=OUTCOMES[kind],
            created_at=now,
        )
        for run_id in dict.fromkeys(run_ids)
        if run_id not in known
    )  # fmt: skip
