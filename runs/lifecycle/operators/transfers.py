"""Runs as files: exported with their events, and imported at another site to look at them.

A file has one JSON object a line, each with its `type`: the run first, then its events in order. The
run's page exports the same form; lines of other types are ignored. An imported run is final, whatever
it was, and nothing executes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from runs.encoding import decode, encode
from runs.events import table
from runs.events.table import Event, Part
from runs.exceptions import InvalidRequest
from runs.models import Assistant, Run, RunStatus
from runs.models.querysets import TERMINAL
from threads.db import clock
from threads.db.ids import UserId
from threads.metadata import MOST_METADATA, ensure_few
from threads.models import Thread
from threads.redaction import redacted

TIMES = ("due_at", "started_at", "finished_at")
COUNTS = ("attempt", "lost_attempts", "event_count", "input_tokens", "output_tokens", "priority", "epoch")
#: How many events are imported in one statement.
BATCH = 500


def exported(run: Run) -> Iterator[str]:
    """The lines of a run's file; its `thread` and `assistant` are loaded. Secrets are left out."""
    head = {
        "type": "run",
        "id": str(run.id),
        "thread": str(run.thread_id),
        "graph": run.graph_id,
        "status": run.status,
        "created": run.created_at.isoformat(),
        "metadata": run.metadata,
        "request": run.kwargs,
        "error": run.error,
        "failure": run.failure,
        "queue": run.queue,
        "values": run.thread.values,
        **{name: getattr(run, name) for name in COUNTS},
        **{name: moment.isoformat() for name in TIMES if (moment := getattr(run, name))},
    }
    yield encode(redacted(head))
    after = table.START
    while batch := table.read(run.id, after):
        for event in batch:
            data = redacted(decode(event.data))
            yield encode({"type": "event", "id": event.id, "event": event.name, "data": data})
        after = batch[-1].position


def imported(lines: Iterable[str], *, user_id: UserId) -> Run:
    """Create a run of a file, on a thread of its own, for a user.

    Raises InvalidRequest if it is no such file, or if the run exists.
    """
    parsed = _parsed(lines)
    head = next(parsed, {})
    if head.get("type") != "run":
        raise InvalidRequest("This is no exported run: it does not begin with a line of the type 'run'.")
    try:
        with transaction.atomic():
            run = _create(head, user_id=user_id)
            _add_events(run, (each for each in parsed if each.get("type") == "event"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(f"The file cannot be imported: {type(error).__name__}: {error}") from error
    return run


def _create(head: dict[str, Any], *, user_id: UserId) -> Run:
    run_id, now = UUID(head["id"]), clock.now()
    if Run.objects.filter(id=run_id).exists():
        raise InvalidRequest(f"The run {run_id} exists already.")
    assistant = Assistant.objects.filter(graph_id=head["graph"], user=None).first()
    if assistant is None:
        raise InvalidRequest(f"This site has no graph {head['graph']!r}.")
    metadata = dict(head["metadata"])
    ensure_few(metadata, MOST_METADATA)
    counts = {name: int(head.get(name, 0)) for name in COUNTS}
    counts["attempt"], counts["epoch"] = max(1, counts["attempt"]), max(1, counts["epoch"])
    created = datetime.fromisoformat(head["created"])
    times = {name: datetime.fromisoformat(head[name]) for name in TIMES if head.get(name)}
    thread = Thread.objects.create(
        user_id=user_id,
        metadata={"graph_id": assistant.graph_id, "imported_run": str(run_id)},
        values=head.get("values"),
        epoch=counts["epoch"],
        created_at=now,
        updated_at=now,
        state_updated_at=now,
    )
    return Run.objects.create(
        id=run_id,
        thread=thread,
        assistant=assistant,
        user_id=user_id,
        status=head["status"] if head["status"] in TERMINAL else RunStatus.INTERRUPTED,
        queue=str(head.get("queue", "default"))[:64],
        metadata=metadata,
        kwargs=dict(head["request"]),
        error=head.get("error"),
        failure=head.get("failure"),
        created_at=created,
        updated_at=now,
        **counts,
        **{"due_at": created, "finished_at": now, **times},
    )


def _add_events(run: Run, parsed: Iterator[dict[str, Any]]) -> None:
    batch: list[Event] = []
    for each in parsed:
        epoch, number = map(int, str(each["id"]).split("-"))
        data = encode(each["data"])
        batch.append(Event(epoch, number, str(each["event"]), data))
        if len(batch) == BATCH:
            _insert(run, batch)
            batch = []
    _insert(run, batch)


def _insert(run: Run, batch: list[Event]) -> None:
    if batch:
        table.insert([Part(run.id, run.thread_id, run.epoch, batch)], now=clock.now())


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise InvalidRequest(f"Line {number} is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise InvalidRequest(f"Line {number} is no object.")
        yield found
