"""How long runs take to resume after their process was killed, without downtimes. Pure.

A recovery lasts from the kill to the first event of the run's next attempt. Two kinds of downtime
within it are subtracted. The database is down from the command that stops it until it accepts
connections. The executors are down while each of them is: from its kill, SIGTERM, pause or
partition from the database until it, or its successor in the slot, serves, resumes, or is
reachable.

A run that is lost again before it resumed is measured from its last loss. A process that is killed
while it is partitioned from the database leaves a session that looks alive. Such a loss is found by
the lease, and counted separately.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.processes.databases import Row

#: Start and end, in seconds of the clock.
Interval = tuple[float, float]


@dataclass(frozen=True)
class Loss:
    """A run whose process was killed."""

    run_id: str
    attempt: int
    when: float
    #: Whether the process was partitioned from the database.
    cut_off: bool = False


@dataclass(frozen=True)
class Recovery:
    loss: Loss
    #: The whole duration in seconds, and the duration without downtimes.
    took: float
    counted: float


class Switches:
    """Records when each of several components was down."""

    def __init__(self) -> None:
        self._changes: dict[str, list[tuple[float, bool]]] = {}

    def note(self, name: str, *, up: bool, when: float) -> None:
        changes = self._changes.setdefault(name, [])
        if not changes or changes[-1][1] != up:
            changes.append((when, up))

    def down(self, name: str) -> list[Interval]:
        """The downtimes of a component; the last one may have no end."""
        changes = [*self._changes.get(name, []), (float("inf"), True)]
        return [(when, until) for (when, up), (until, _) in pairwise(changes) if not up]


def united(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of intervals, in order and without overlaps."""
    done: list[Interval] = []
    for begin, end in sorted(intervals):
        if done and begin <= done[-1][1]:
            done[-1] = (done[-1][0], max(done[-1][1], end))
        else:
            done.append((begin, end))
    return done


def common(left: Sequence[Interval], right: Sequence[Interval]) -> list[Interval]:
    """The intersection of intervals."""
    return [
        (begin, end)
        for one in left
        for other in right
        if (begin := max(one[0], other[0])) < (end := min(one[1], other[1]))
    ]


def idle_times(switches: Switches, *, executors: Sequence[str], database: str) -> list[Interval]:
    """When the database or every executor was down."""
    every = switches.down(executors[0])
    for name in executors[1:]:
        every = common(every, switches.down(name))
    return united([*switches.down(database), *every])


def within(span: Interval, idle: Sequence[Interval]) -> float:
    """How much of a span is idle time, in seconds."""
    return sum(end - begin for begin, end in common([span], united(idle)))


def recoveries(
    lost: Sequence[Loss], events: dict[str, list[Row]], idle: Sequence[Interval]
) -> list[Recovery]:
    """The recoveries of resumed runs, fastest first."""
    found: list[Recovery] = []
    for loss in lost:
        began = [
            row["created_at"].timestamp()
            for row in events.get(loss.run_id, [])
            if row["event"] == "metadata" and json.loads(row["data"])["attempt"] > loss.attempt
        ]
        if not began:
            continue
        again = max(min(began), loss.when)
        if any(each.run_id == loss.run_id and loss.when < each.when < again for each in lost):
            continue
        took = again - loss.when
        found.append(Recovery(loss, took, took - within((loss.when, again), idle)))
    return sorted(found, key=lambda each: each.counted)
