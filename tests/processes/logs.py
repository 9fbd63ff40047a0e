"""The few lines of servers' logs that explain a failed test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

#: Patterns that do not occur in a healthy server's log.
ALARMS = re.compile(
    r"Traceback|never retrieved|never awaited|PoolClosed|PoolTimeout|already closed|is closed|was closed|"
    r"closed database|Event loop|CancelledError| ERROR | CRITICAL "
)
#: The beginning of a record; lines until the next one, such as a traceback, belong to it.
BEGINS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
#: Limits of the report: characters of a line, lines of a record, alarms, and records before the first alarm.
WIDTH, LINES, SHOWN, BEFORE = 300, 10, 3, 8

Record = list[str]


def records(log: str) -> list[Record]:
    found: list[Record] = []
    for line in log.splitlines():
        if found and not BEGINS.match(line):
            found[-1].append(line)
        else:
            found.append([line])
    return found


def brief(record: Record) -> Record:
    """A record's beginning and end, because a traceback's last frames matter most."""
    lines = record if len(record) <= LINES else [*record[:2], "    …", *record[3 - LINES :]]
    return [line if len(line) <= WIDTH else line[:WIDTH] + " …" for line in lines]


def alarms(log: str, *, allowed: str = r"(?!)") -> str:
    """Describe the alarms of a log, first ones first; "" without alarms.

    Args:
        allowed: A pattern of alarms that are allowed.
    """
    every = records(log)
    found = [
        index
        for index, record in enumerate(every)
        if any(ALARMS.search(line) and not re.search(allowed, line) for line in record)
    ]
    return "\n".join(_described(every, found)) if found else ""


def _described(every: Sequence[Record], found: Sequence[int]) -> Iterator[str]:
    first = every[found[0]]
    yield f"{first[0]} {first[-1] if len(first) > 1 else ''}".rstrip()
    for index in found[:SHOWN]:
        yield from ("", *brief(every[index]))
    if len(found) > SHOWN:
        yield f"\n… and {len(found) - SHOWN} more alarms."
    yield "\nBefore the first one:"
    for record in every[max(0, found[0] - BEFORE) : found[0]]:
        yield from brief(record)


def tail(log: str, lines: int = 25) -> str:
    """The end of a log."""
    every = [line for record in records(log) for line in brief(record)]
    return "\n".join(every[-lines:])
