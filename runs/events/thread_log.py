"""The log of a thread: the events of all its runs, one run after the other, and the edits of its state between them.

Served as server-sent events by `runs.api.routes.thread_stream`. The agent streaming protocol has an order
of its own (`runs.events.agent_stream`).

One position is enough to continue from, across runs: each attempt and each edit has its own epoch
of the thread, so that (epoch, seq) orders the events of the whole thread and not only those of one
run. The log has no storage of its own: it is read from the runs' logs, by their readers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from runs.encoding import encode
from runs.events.endings import last_position
from runs.events.table import Event, Position
from runs.events.turns import turns
from runs.exceptions import LogRemoved
from runs.models import Run
from runs.models.querysets import IN_FLIGHT, TERMINAL
from runs.process.current import current
from runs.protocols.errors import told
from threads.models import StateEdit, Thread

#: The names of entries that are not events of a run's log; no stream mode has these names.
RUN_DONE, STATE_EDITED = "run_done", "state_edited"
#: The largest `seq` that an event can have.
LAST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a thread's log: an event of a run, the end of a run, or an edit, which belongs
    to no run.

    The end of a run that executed follows its last event, or what tells a reader that the others were
    removed, an `error`. Its data is {"run_id": …, "status": …},
    without a status for a deleted run. The data of an edit is {"checkpoint_id": …}.
    """

    run_id: UUID | None
    event: Event

    @property
    def position(self) -> Position:
        return self.event.position


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a thread: a run, with the epoch of its newest attempt, or an edit, with its own
    epoch.
    """

    epoch: int
    run_id: UUID | None
    terminal: bool = True
    checkpoint_id: str = ""


async def follow_thread(thread_id: UUID, after: Position | None) -> AsyncGenerator[list[Entry], None]:
    """Yield a thread's entries after a position, in batches, until the thread is deleted.

    Args:
        after: `START` for all, None for new ones only.

    An empty batch means that there are no more entries now, or that nothing happened for a
    heartbeat's time. Raises ServerClosing when this server shuts down first.
    """
    position = await _tail(thread_id) if after is None else after
    finished: set[tuple[UUID | None, int]] = set()

    def following() -> list[Turn]:
        found = turns_after(thread_id, position)
        return [turn for turn in found if (turn.run_id, turn.epoch) not in finished]

    async with aclosing(turns(thread_id, following, partial(_epoch, thread_id))) as read:
        async for turn in read:
            if turn is None:
                yield []
                continue
            async with aclosing(_entries(turn, position)) as batches:
                async for batch in batches:
                    yield batch
                    position = batch[-1].position if batch else position
            finished = {each for each in finished if each[1] >= position[0]}
            if turn.terminal:
                finished.add((turn.run_id, turn.epoch))


async def _entries(turn: Turn, after: Position) -> AsyncGenerator[list[Entry], None]:
    """The entries of one turn after a position, until it is over."""
    run_id = turn.run_id
    if run_id is None:
        data = encode({"checkpoint_id": turn.checkpoint_id})
        yield [Entry(None, Event(turn.epoch, 1, STATE_EDITED, data))]
        return
    last: Position | None = None
    removed: LogRemoved | None = None
    try:
        async with aclosing(current().hub.follow(run_id, after)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                yield [Entry(run_id, event) for event in batch]
                last = batch[-1].position if batch else last
    except LogRemoved as error:
        removed = error
    ended, status = await current().hub.read(_end, run_id)
    epoch, seq = ended or last or after
    if removed is not None:
        yield [Entry(run_id, Event(epoch, seq, "error", encode(told(removed))))]
    if (ended or last) and (epoch, seq + 1) > after:
        shown = {"run_id": str(run_id)} | ({"status": status} if status else {})
        yield [Entry(run_id, Event(epoch, seq + 1, RUN_DONE, encode(shown)))]


def _epoch(thread_id: UUID) -> int | None:
    """A thread's epoch, which changes with each new turn; None if the thread is deleted."""
    visible = Thread.objects.visible().filter(id=thread_id)
    return visible.values_list("epoch", flat=True).first()


def turns_after(thread_id: UUID, position: Position) -> list[Turn]:
    """The turns since a position, in order. No other turn comes between the attempts of a run.

    A run that ended while pending has no turn: its epoch, if any, is that of the run before it.
    """
    runs = Run.objects.filter(thread=thread_id, attempt__gt=0, epoch__gte=max(1, position[0]))
    rows = runs.values_list("epoch", "id", "status")
    found = [Turn(epoch, run_id, status in TERMINAL) for epoch, run_id, status in rows]
    edits = StateEdit.objects.filter(thread=thread_id, epoch__gte=position[0] + bool(position[1]))
    made = edits.values_list("epoch", "checkpoint_id")
    found += [Turn(epoch, None, checkpoint_id=checkpoint_id) for epoch, checkpoint_id in made]
    return sorted(found, key=lambda turn: turn.epoch)


def _end(run_id: UUID) -> tuple[Position | None, str]:
    """The last position of a final run, even if its events were removed since; and its status."""
    found = Run.objects.filter(id=run_id).values_list("epoch", "event_count", "status").first()
    if found is None:
        return None, ""
    epoch, count, status = found
    return max(last_position(run_id), (epoch, count)), status


async def _tail(thread_id: UUID) -> Position:
    """The present end of the thread's log."""
    hub = current().hub
    epoch, run_id = await hub.read(_latest, thread_id)
    if run_id is None:
        return epoch, LAST
    if (stream := hub.executing(run_id)) is not None:
        return stream.epoch, stream.count
    return await hub.read(last_position, run_id)


def _latest(thread_id: UUID) -> tuple[int, UUID | None]:
    """A thread's epoch, and the run in flight that has started, if there is one."""
    epoch = _epoch(thread_id) or 0
    begun = Run.objects.filter(thread=thread_id, status__in=IN_FLIGHT, epoch__gt=0)
    return epoch, begun.order_by("-epoch").values_list("id", flat=True).first()
