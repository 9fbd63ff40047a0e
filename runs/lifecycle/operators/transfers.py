"""Runs as files: exported with their events, and imported at another site to look at them.

A file has one JSON object a line, each with its `type`: the run first, then its events in order. The
run's attempts are between them, and what people did with it, which is not imported: this site's record
is of what was done here. An imported run is final, whatever it was, and nothing executes it or repeats it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from runs.deletion import remains
from runs.encoding import decode, encode
from runs.events import table
from runs.events.endings import removed
from runs.exceptions import InvalidRequest, LogRemoved
from runs.lifecycle.operators.operations import IMPORTED, Operator
from runs.models import Assistant, Attempt, Run, RunAction, RunEvent, RunStatus
from runs.models.querysets import TERMINAL
from threads.db import clock
from threads.db.ids import UserId
from threads.metadata import MOST_METADATA, ensure_few
from threads.models import Thread
from threads.redaction import redacted

TIMES = ("due_at", "started_at", "finished_at")
#: The greatest number of a file: columns have 32 bits, and the epoch after it must fit.
MOST_COUNT = 2**31 - 2
COUNTS = ("attempt", "lost_attempts", "event_count", "input_tokens", "output_tokens", "priority", "epoch")
#: How many rows are imported in one statement, and the most attempts and records of a file.
BATCH, MOST_ROWS = 500, 1000
#: The parts of a run's line that are objects, if they are there.
OBJECTS = ("metadata", "request", "error", "failure")
#: What is wrong with a file, when reading it raises these.
WRONG = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, DatabaseError)


def exported(run: Run, *, most: int | None = None) -> Iterator[str]:
    """The lines of a run's file; its `thread` and `assistant` are loaded. Secrets are left out.

    Args:
        most: The most characters of the events, after which a line says where the file was cut.

    If the events are being removed, or were removed, the last line says that they are not all.
    """
    yield encode(redacted(_head(run)))
    for attempt in Attempt.objects.filter(run_id=run.id).order_by("number")[:MOST_ROWS]:
        ended = attempt.ended_at.isoformat() if attempt.ended_at else None
        yield encode({
            "type": "attempt", "number": attempt.number, "epoch": attempt.epoch, "host": attempt.host,
            "pid": attempt.pid, "began": attempt.began_at.isoformat(), "ended": ended, "reason": attempt.reason,
        })  # fmt: skip
    asked = RunAction.objects.filter(run_id=run.id).exclude(kind=RunAction.TRACED)
    for record in asked.order_by("id")[:MOST_ROWS]:
        yield encode({
            "type": "record", "kind": record.kind, "who": record.who, "origin": record.origin,
            "reason": record.reason, "outcome": record.outcome, "at": record.created_at.isoformat(),
        })  # fmt: skip
    yield from _events(run, most)


def _head(run: Run) -> dict[str, Any]:
    return {
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
        "usage": run.usage,
        "queue": run.queue,
        "values": run.thread.values,
        **{name: getattr(run, name) for name in COUNTS},
        **{name: moment.isoformat() for name in TIMES if (moment := getattr(run, name))},
    }


def _events(run: Run, most: int | None) -> Iterator[str]:
    after, size = table.START, 0
    while batch := table.read(run.id, after):
        written = table.times(run.id, batch[0].position, batch[-1].position)
        for event in batch:
            at = written.get(event.position)
            line = {
                "type": "event",
                "id": event.id,
                "at": at.isoformat() if at else None,
                "event": event.name,
            }
            text = encode({**line, "data": redacted(decode(event.data))})
            size += len(text)
            if most is not None and size > most:
                yield encode({"type": "cut", "after": most})
                return
            yield text
        after = batch[-1].position
    # Asked after the log was read, because removal may begin meanwhile.
    if removed(run.id):
        yield encode({"type": "removed", "message": str(LogRemoved())})


def imported(lines: Iterable[str], *, user_id: UserId, by: Operator) -> Run:
    """Create a run of a file, on a thread of its own, for a user. The import is on record.

    Raises InvalidRequest, with one sentence, if it is no such file, or if the run exists.
    """
    try:
        with transaction.atomic():
            return _imported(_parsed(lines), user_id=user_id, by=by)
    except (OperationalError, InterfaceError):
        # The database is out of reach or full: that is no fault of the file.
        raise
    except WRONG as error:
        what = str(error).partition("\n")[0][:200]
        raise InvalidRequest(f"The file cannot be imported: {type(error).__name__}: {what}") from error


def _imported(parsed: Iterator[dict[str, Any]], *, user_id: UserId, by: Operator) -> Run:
    head = next(parsed, {})
    if head.get("type") != "run":
        raise InvalidRequest("This is no exported run: it does not begin with a line of the type 'run'.")
    if wrong := [name for name in OBJECTS if not isinstance(head.get(name), dict | None)]:
        raise InvalidRequest(f"This is no exported run: its {wrong[0]} is no object.")
    run = _create(head, user_id=user_id)
    last = table.START
    while rows := list(islice(parsed, BATCH)):
        Attempt.objects.bulk_create(_attempt(run, row) for row in rows if row.get("type") == "attempt")
        events = RunEvent.objects.bulk_create(_event(run, row) for row in rows if row.get("type") == "event")
        last = max([last, *((event.epoch, event.seq) for event in events)])
    # A file that was cut has fewer events than its run had, and readers would wait for the missing ones.
    run.event_count = last[1] if last[0] == run.epoch else 0
    run.save(update_fields=["event_count"])
    RunAction.objects.create(
        run_id=run.id, kind="import", user_id=by.user_id, who=by.name[:255], origin=by.origin,
        outcome="made this copy from a file", created_at=clock.now(),
    )  # fmt: skip
    return run


def _create(head: dict[str, Any], *, user_id: UserId) -> Run:
    run_id, now = UUID(head["id"]), clock.now()
    if Run.objects.filter(id=run_id).exists():
        raise InvalidRequest(f"The run {run_id} exists already.")
    # If the run was deleted here a moment ago, its events are in the way.
    for _ in remains([run_id]):
        pass
    assistant = Assistant.objects.filter(graph_id=head["graph"], user=None).first()
    if assistant is None:
        raise InvalidRequest(f"This site has no graph {head['graph']!r}.")
    metadata = dict(head["metadata"])
    ensure_few(metadata, MOST_METADATA)
    counts = {name: _count(head.get(name, 0)) for name in COUNTS}
    counts["attempt"], counts["epoch"] = max(1, counts["attempt"]), max(1, counts["epoch"])
    created = _moment(head["created"])
    times = {name: _moment(head[name]) for name in TIMES if head.get(name)}
    thread = Thread.objects.create(
        user_id=user_id,
        metadata={"graph_id": assistant.graph_id, IMPORTED: str(run_id)},
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
        usage={
            model: [_count(received), _count(sent)]
            for model, (received, sent) in (head.get("usage") or {}).items()
        }
        or None,
        created_at=created,
        updated_at=now,
        **counts,
        **{"due_at": created, "finished_at": now, **times},
    )


def _attempt(run: Run, row: Mapping[str, Any]) -> Attempt:
    return Attempt(
        run_id=run.id,
        number=_count(row["number"]),
        epoch=_count(row["epoch"]),
        host=str(row["host"])[:255],
        pid=_count(row["pid"]),
        began_at=_moment(row["began"]),
        ended_at=_moment(row["ended"]) if row.get("ended") else run.finished_at,
        reason=str(row["reason"] or RunStatus.INTERRUPTED)[:11],
    )


def _event(run: Run, row: Mapping[str, Any]) -> RunEvent:
    epoch, number = map(_count, str(row["id"]).split("-"))
    at = _moment(row["at"]) if row.get("at") else run.updated_at
    return RunEvent(
        run_id=run.id,
        epoch=epoch,
        seq=number,
        event=str(row["event"]),
        data=encode(row["data"]),
        created_at=at,
    )


def _count(value: Any) -> int:
    number = int(value)
    if not -MOST_COUNT <= number <= MOST_COUNT:
        raise InvalidRequest(
            f"The file cannot be imported: {str(value)[:20]} is no number that a run can have."
        )
    return number


def _moment(text: str) -> datetime:
    """A time in ISO 8601, in UTC if it names no zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


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
