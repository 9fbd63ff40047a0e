"""Rows as the runtime writes them, created directly, for pages and commands."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.utils import timezone

from runs.assistants import system_assistant_id
from runs.encoding import encode
from runs.models import Assistant, Run, RunEvent, Worker
from runs.protocols.agent.items import MODEL, PACK, pack
from threads.models import Thread

numbers = itertools.count(1)


def make_user(**fields: Any) -> Any:
    return get_user_model().objects.create_user(f"person-{next(numbers)}", **fields)


def make_worker(*, age: float = 0.0, lease: float = 3600.0, stopped: bool = False, **fields: Any) -> Worker:
    """A worker that started `age` seconds ago, with a lease that ends in `lease` seconds."""
    now = timezone.now()
    return Worker.objects.create(
        **{
            "host": "host",
            "pid": next(numbers),
            "version": "0",
            "concurrency": 10,
            "started_at": now - timedelta(seconds=age),
            "heartbeat_at": now,
            "lease_expires_at": now + timedelta(seconds=lease),
            "stopped_at": now if stopped else None,
            **fields,
        }
    )


def make_assistant(graph: str = "steps", **fields: Any) -> Assistant:
    """A user's assistant, or, without a user, the graph's system assistant."""
    now = timezone.now()
    values = {"graph_id": graph, "name": graph, "created_at": now, "updated_at": now, **fields}
    if "user" in fields:
        return Assistant.objects.create(**values)
    return Assistant.objects.get_or_create(id=system_assistant_id(graph), defaults=values)[0]


def make_thread(**fields: Any) -> Thread:
    now = timezone.now()
    values: dict[str, Any] = {"created_at": now, "updated_at": now, "state_updated_at": now, **fields}
    if "user" not in values:
        values["user"] = make_user()
    return Thread.objects.create(**values)


def make_run(status: str = "pending", *, age: float = 0.0, **fields: Any) -> Run:
    """A run that was created `age` seconds ago, on a new thread by default."""
    thread = fields.pop("thread", None) or make_thread(status="busy")
    if status != "pending" and not thread.epoch:
        thread.epoch = 1
        thread.save(update_fields=["epoch"])
    moment = timezone.now() - timedelta(seconds=age)
    begun = {"attempt": 1, "epoch": thread.epoch, "started_at": moment} if status != "pending" else {}
    ended = {"finished_at": moment} if status not in ("pending", "running") else {}
    if status == "running" and "worker" not in fields:
        fields["worker"] = make_worker()
    if age:
        fields.setdefault(
            "id", UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | next(numbers))
        )
    return Run.objects.create(
        **{
            "thread": thread,
            "assistant": fields.pop("assistant", None) or make_assistant(),
            "user": thread.user,
            "status": status,
            "created_at": moment,
            "updated_at": moment,
            "due_at": moment,
            **begun,
            **ended,
            **fields,
        }
    )


def make_events(run: Run, count: int, *, event: str = "values", data: str = "{}") -> None:
    now = timezone.now()
    RunEvent.objects.bulk_create(
        RunEvent(run=run, epoch=1, seq=number, event=event, data=data, created_at=now)
        for number in range(1, count + 1)
    )


def say_usage(run: Run, usage: Any) -> None:
    """Add a call of a model to a run's log, with what the model said of its tokens."""
    notes = [{"event": "start", "id": "1", "name": "big"}, {"event": "end", "id": "1", "usage": usage}]
    make_events(run, 1, event=PACK, data=pack([encode([MODEL, [], 0, note]) for note in notes]))


def orphan(**fields: Any) -> Run:
    """A run marked running whose worker has stopped."""
    return make_run("running", worker=make_worker(stopped=True), **fields)
