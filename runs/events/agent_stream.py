"""A thread's agent stream: the events of all its runs in order, for clients of the agent protocol.

A thread executes one run at a time, and a run that has started continues before any other. Each
attempt has its own epoch, and epochs only increase. So the stream has the runs in the order of
their epochs, and an event's number consists of its epoch and its place in that epoch. Every reader
sees the same numbers, and deletions do not change them. A run that ended without being claimed
comes after the run in whose epoch it ended, and after all attempts of that run.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from runs.events.agent_stream_runs import StreamedRun, graph_of, latest_of, run_of, runs_of
from runs.events.table import START
from runs.events.turns import turns
from runs.exceptions import LogRemoved
from runs.models import RunStatus
from runs.process.current import current
from runs.protocols.agent.events import WAITING, ProtocolEvent, epoch_of, first_of
from runs.protocols.agent.projection import RunProjection
from runs.protocols.errors import shown_message
from threads.db.database import in_database
from threads.db.time_limits import limited
from threads.models import Thread
from threads.models.querysets import Principal

#: How often an idle reader looks for runs whose wake-up was lost, in seconds.
LOOK = 1.0


class AgentStream:
    """One reader's position in a thread's agent stream.

    Args:
        since: The number of the last event that the reader has; 0 for none.
        known: Whether the reader knows that the thread has existed: if it is not there, it was deleted.
    """

    def __init__(self, thread_id: UUID, *, principal: Principal, since: int = 0, known: bool = False) -> None:
        self._thread_id = thread_id
        self._principal = principal
        self._since = since
        self._epoch = epoch_of(since) if since else 0
        #: Runs of the present epoch whose events were yielded.
        self._told: dict[UUID, int] = {}
        self._waiting: dict[int, int] = {}
        self._place = (0, 0)
        #: Whether the thread was found; `latest` implies it too.
        self._there = known
        #: The state of the last run that was read.
        self.latest: RunProjection | None = None

    async def follow(self) -> AsyncGenerator[list[ProtocolEvent]]:
        """Yield the thread's events after `since`, in batches, until the thread is deleted. It may
        not exist yet.

        An empty batch means that all present events were yielded, or that nothing happened for a
        heartbeat's time. Raises ServerClosing when this server shuts down.
        """
        async with aclosing(turns(self._thread_id, self._next_runs, self._look, every=LOOK)) as runs:
            async for run in runs:
                if run is None:
                    yield []
                    continue
                async for batch in self._run(run):
                    yield batch

    async def read(self) -> AsyncGenerator[list[ProtocolEvent]]:
        """Yield the present events after `since`, in batches."""
        async with aclosing(self.follow()) as batches:
            async for batch in batches:
                if not batch:
                    return
                yield batch

    async def one(self, run: StreamedRun) -> AsyncGenerator[list[ProtocolEvent]]:
        """Yield the present events of one run, in batches."""
        async with aclosing(self._run(run)) as batches:
            async for batch in batches:
                if not batch:
                    return
                yield batch

    def _next_runs(self) -> list[StreamedRun]:
        return runs_of(self._thread_id, principal=self._principal, epoch=self._epoch, but=self._told)

    def _look(self) -> tuple[int, list[UUID]] | None:
        """A value that changes when an attempt begins, or when a pending run ends.

        None when the thread was deleted; a thread that was never found may still be created.
        """
        threads = Thread.objects.for_principal(self._principal).visible()
        epoch = threads.filter(id=self._thread_id).values_list("epoch", flat=True).first()
        if epoch is None:
            return None if self._there or self.latest is not None else (0, [])
        self._there = True
        return epoch, [run.id for run in self._next_runs()]

    async def _run(self, run: StreamedRun) -> AsyncGenerator[list[ProtocolEvent]]:
        """The events of one run, until its end."""
        name = run.graph_name if run.graph_known else await current().hub.read(graph_of, run)
        projection = self.latest = RunProjection(str(run.id), name)
        removed: LogRemoved | None = None
        if run.begun:
            try:
                async for batch in self._begun(run, projection):
                    yield batch
            except LogRemoved as error:
                removed = error
        else:
            self._place = (run.epoch, WAITING + self._waiting.get(run.epoch, 0))
        end: StreamedRun | None = run
        if not run.terminal:
            end = await current().hub.read(run_of, run.id)
        ended = self._end(end, projection, removed)
        if not run.begun:
            self._waiting[run.epoch] = self._waiting.get(run.epoch, 0) + len(ended)
        ended = self._numbered(ended)
        if ended:
            yield ended
        epoch = max(run.epoch, end.epoch if end is not None else 0, self._place[0])
        if epoch > self._epoch:
            self._epoch = epoch
        self._told[run.id] = epoch
        self._told = {each: at for each, at in self._told.items() if at >= self._epoch}

    async def _begun(
        self, run: StreamedRun, projection: RunProjection
    ) -> AsyncGenerator[list[ProtocolEvent]]:
        self._place = (run.epoch, 0)
        first = True
        timestamp = int(run.started_at.timestamp() * 1000) if run.started_at else 0
        events = current().hub.follow(run.id, START, items=not run.terminal)
        async with aclosing(events) as batches:  # type: ignore[type-var]
            async for batch in batches:
                if not run.terminal:
                    timestamp = int(time.time() * 1000)
                found: list[ProtocolEvent] = []
                for event in batch:
                    if first or event.epoch != self._place[0]:
                        self._place, first = (event.epoch, 0), False
                    found += self._numbered(projection.feed(event, timestamp=timestamp))
                if found or not batch:
                    yield found

    def _end(
        self, end: StreamedRun | None, projection: RunProjection, removed: LogRemoved | None
    ) -> list[ProtocolEvent]:
        """The events of a run's end. A run without a row was rolled back or deleted, and counts as
        cancelled. One whose log was removed while it was read has failed for its reader, who else would
        take a part of it for all.
        """
        if removed is not None:
            return projection.end(RunStatus.ERROR, timestamp=int(time.time() * 1000), error=str(removed))
        if end is None:
            return projection.end(RunStatus.INTERRUPTED, timestamp=int(time.time() * 1000))
        at = end.finished_at.timestamp() if end.finished_at else time.time()
        error = shown_message(end.error) if end.error else None
        return projection.end(end.status, timestamp=int(at * 1000), error=error)

    def _numbered(self, events: list[ProtocolEvent]) -> list[ProtocolEvent]:
        """Number events, and drop those that the reader has."""
        epoch, count = self._place
        base = first_of(epoch)
        for number, event in enumerate(events, start=count + 1):
            event.seq = base + number
        self._place = (epoch, count + len(events))
        return [event for event in events if event.seq > self._since]


async def latest_projection(
    thread_id: UUID, *, principal: Principal, run_id: UUID | None
) -> RunProjection | None:
    """The state of a thread's newest run, or of a given one, from its log; None if there is no such
    run.

    Raises QueryTooSlow, because a whole log may have to be read.
    """
    row = await in_database(latest_of, thread_id, principal=principal, run_id=run_id)
    if row is None:
        return None
    stream = AgentStream(thread_id, principal=principal)
    # The log is read in many short queries, so the limit is that of all of them together.
    async with limited():
        async for _ in stream.one(row):
            pass
    return stream.latest
