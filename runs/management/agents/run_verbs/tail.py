"""`agents runs tail`: print a run's events, and follow them until its end."""

from __future__ import annotations

import json
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from uuid import UUID

from django.core.management.base import CommandError

from runs.events import table
from runs.events.endings import removed
from runs.events.log_reader import LogReader
from runs.events.table import Event, Position
from runs.exceptions import LogRemoved
from runs.management.agents.parsing import Noun, by_id
from runs.management.agents.printing.event_lines import readable, unpacked
from runs.management.agents.printing.output import Output, fitting, terminal_width
from runs.management.agents.run_verbs.choice import exit_status, loaded
from runs.models import Run

#: How often the log is read while nothing comes, in seconds.
PAUSE = 0.25


def add(noun: Noun) -> None:
    parser = noun.verb("tail", tail, "Print a run's events.", as_json=False)
    parser.add_argument("run", help="The run's id, or the beginning or the end of it.")
    parser.add_argument("-f", "--follow", action="store_true", help="Go on until the run has ended.")
    parser.add_argument(
        "--since",
        type=position,
        default=table.START,
        metavar="ID",
        help="Only events after the one with this id.",
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON object a line: id, event, data.")
    parser.add_argument(
        "--exit-status", action="store_true", help="Exit with the run's status, see `agents --help`."
    )


def position(text: str) -> Position:
    epoch, _, number = text.partition("-")
    if epoch.isdecimal() and number.isdecimal():
        return int(epoch), int(number)
    raise ArgumentTypeError(f"{text!r} is no event's id, such as 3-17.")


def tail(given: Namespace, out: Output) -> int | None:
    run = by_id(Run.objects.only("id"), given.run)
    width = terminal_width() if out.stdout.isatty() else 10_000
    found = False
    try:
        for batch in batches(run.id, given.since, follow=given.follow):
            for line in lines(batch, as_json=given.json, width=width):
                out.line(line)
            out.stdout.flush()
            found = True
    except LogRemoved as error:
        raise CommandError(str(error)) from error
    if not found and removed(run.id):
        out.say(str(LogRemoved()))
    if not given.exit_status:
        return None
    row = loaded(Run.objects.filter(id=run.id)).first()
    return 1 if row is None else exit_status(row)


def batches(run_id: UUID, after: Position, *, follow: bool) -> Iterator[list[Event]]:
    """A run's events after a position, as they are found; with `follow`, until it has ended.

    Raises LogRemoved if they are removed meanwhile.
    """
    reader = LogReader(run_id)
    while True:
        batch = reader.next(after)
        if batch:
            yield batch
            after = batch[-1].position
        elif reader.ended or not follow:
            return
        else:
            time.sleep(PAUSE)


def lines(batch: list[Event], *, as_json: bool, width: int) -> Iterator[str]:
    """Events as lines: as JSON every item, else what a person reads."""
    if as_json:
        for event in batch:
            for name, data in unpacked(event):
                yield json.dumps({"id": event.id, "event": name, "data": data}, ensure_ascii=False)
        return
    for event_id, name, text in readable(batch):
        yield fitting(f"{event_id:<8} {name:<12} {text}".rstrip(), width=width)
