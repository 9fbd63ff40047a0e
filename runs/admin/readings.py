"""The record of who read a run's payloads."""

from __future__ import annotations

from typing import Any

from runs.models import Run, RunAction
from threads.admin.base import READING
from threads.db import clock

#: What is recorded, by the record's kind.
OUTCOMES = {"read": "read inputs, outputs or logs", "export": "exported it with its whole log"}


def note_reading(run: Run, user: Any, kind: str = "read") -> None:
    """Record that a person reads payloads of a run, once an hour for each kind of `OUTCOMES`."""
    since = clock.now() - READING
    if not RunAction.objects.filter(run_id=run.id, user=user, kind=kind, created_at__gt=since).exists():
        RunAction.objects.create(
            run_id=run.id, kind=kind, user=user, who=str(user)[:255], origin="admin",
            outcome=OUTCOMES[kind], created_at=clock.now(),
        )  # fmt: skip
