"""Simulated workers: the product's lease, execution and settlement, killed anywhere."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.events import table
from runs.events.buffer import RunStream
from runs.execution.attempt import Execution
from runs.execution.settler import Settler
from runs.lifecycle.outcomes import Outcome, Stop
from runs.models import Run
from runs.process import leases
from runs.process.executor_lock import executing_alone
from runs.process.leases import Lease
from tests.machine.commits import Commits
from tests.machine.graph import Gate, gates
from threads.checkpoints import CheckpointStorage, open_checkpoints
from threads.checkpoints.commits import GroupCommit
from threads.db.database import in_database

T = TypeVar("T")

#: The time in seconds after which any operation counts as stuck.
PATIENCE = 20.0
#: Turns of the loop after which a write in LangGraph's background has reached the saver.
TURNS = 12


class Loop:
    """The event loop of all simulated processes; it runs only while a rule waits."""

    def __init__(self, checkpoints_file: str, serde: JsonPlusSerializer) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.storage = self.run(
            self._stack.enter_async_context(
                open_checkpoints(file=checkpoints_file, serde=serde, retry_seconds=1.0, connections=4)
            )
        )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        async def patiently() -> T:
            async with asyncio.timeout(PATIENCE):
                return await coroutine

        return self._loop.run_until_complete(patiently())

    def close(self) -> None:
        self.run(self._stack.aclose())
        left = [task for task in asyncio.all_tasks(self._loop) if not task.done()]
        assert not left, f"Still at work: {left}"
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class Log:
    """Replaces the event hub: events are written on demand of a rule, never by a timer."""

    def written_soon(self, stream: RunStream) -> None:
        pass

    async def flush(self) -> None:
        raise AssertionError("A run of the machine has few events and never waits for room.")


class Attempt:
    """One attempt of one run in one process, with its graph at a gate or at its end."""

    def __init__(self, run: Run, process: Process) -> None:
        self.run = run
        self.run_id = run.id.hex
        self._process = process
        self.gate = Gate(process.changed)
        gates[str(run.id), run.attempt] = self.gate
        self.stream = RunStream(
            Log(), run_id=run.id, thread_id=run.thread_id, epoch=run.epoch, first=run.attempt == 1
        )
        self.execution = Execution(run, storage=process.storage, stream=self.stream)
        writer: Any = self.execution._writer
        writer.aput = process.commits.counted(writer.aput)
        writer.aput_writes = process.commits.counted(writer.aput_writes)
        if process.draining:
            self.execution.stop(Stop.DRAIN)
        self.task = asyncio.create_task(self.execution.drive(), context=contextvars.Context())
        self.task.add_done_callback(lambda _: process.changed())

    @property
    def place(self) -> tuple[str, int]:
        return self.run_id, self.run.attempt

    @property
    def ended(self) -> bool:
        """Whether the graph has ended and its outcome is not yet settled."""
        return self.task.done()

    @property
    def outcome(self) -> Outcome:
        return self.task.result()

    @property
    def resting(self) -> bool:
        commits = self._process.commits
        still = self.ended or self.gate.waiting is not None or commits.holding or commits.dead
        return still and commits.idle

    async def rest(self) -> None:
        """Wait until the graph waits at its gate or has ended, and no write is in flight."""
        quiet = 0
        while quiet < TURNS:
            if not self.resting:
                quiet = 0
                await self._process.change()
            else:
                quiet += 1
                await asyncio.sleep(0)


class Process:
    """A worker process. On SQLite it holds the lock of the single executing process."""

    def __init__(self, storage: CheckpointStorage) -> None:
        self._change = asyncio.Event()
        self.storage = copy.copy(storage)
        self.commits = Commits(GroupCommit(storage._commit, retry_seconds=1.0), self.changed)  # type: ignore[attr-defined]
        self.storage.commits = self.commits  # type: ignore[assignment]
        #: By run and attempt: a process may take over from itself.
        self.attempts: dict[tuple[str, int], Attempt] = {}
        self.frozen = self.draining = self.dead = False
        self.lease = Lease()
        self._alone = AsyncExitStack()

    @classmethod
    async def start(cls, storage: CheckpointStorage) -> Process:
        process = cls(storage)
        await process._alone.enter_async_context(executing_alone())
        await process.lease.begin(concurrency=10)
        return process

    @property
    def worker_id(self) -> UUID:
        return self.lease.worker_id

    def changed(self) -> None:
        self._change.set()

    async def change(self) -> None:
        self._change.clear()
        await self._change.wait()

    # --- executing

    async def execute(self, run: Run) -> None:
        attempt = Attempt(run, self)
        self.attempts[attempt.place] = attempt
        await attempt.rest()

    async def step(self, attempt: Attempt) -> None:
        attempt.gate.open()
        await attempt.rest()

    async def end(self, attempt: Attempt) -> None:
        """Let an attempt continue to its end."""
        attempt.gate.free = True
        attempt.gate.open()
        await asyncio.wait([attempt.task])
        await attempt.rest()

    async def stop(self, attempt: Attempt, reason: Stop) -> None:
        attempt.execution.stop(reason)
        await asyncio.wait([attempt.task])
        await attempt.rest()

    async def settle(self, attempt: Attempt) -> None:
        """Settle an attempt like the manager does, and forget it."""
        settled = await Settler().settle(attempt.run, attempt.outcome, attempt.stream)
        attempt.stream.close(finished=settled.final)
        del self.attempts[attempt.place]

    def forget(self, attempt: Attempt) -> None:
        """Stop tracking an attempt that was settled elsewhere."""
        attempt.stream.close(finished=True)
        self.attempts.pop(attempt.place, None)

    @property
    def unwritten(self) -> bool:
        """Whether an attempt has events that are not in the log."""
        return any(each.stream.unwritten().events for each in self.attempts.values())

    def flush(self, now: Any) -> None:
        """Write the events that are not in the log yet, like the hub does."""
        parts = {each: each.stream.unwritten() for each in self.attempts.values()}
        parts = {each: part for each, part in parts.items() if part.events}
        if not parts:
            return
        live = table.append(list(parts.values()), now=now)
        for each, part in parts.items():
            if (part.run_id, part.epoch) in live:
                each.stream.wrote(part.events[-1].seq)

    # --- ending

    async def freeze(self) -> None:
        self.frozen = self.commits.frozen = True

    async def wake(self) -> None:
        self.frozen = False
        self.commits.wake()
        for each in list(self.attempts.values()):
            await each.rest()

    async def lose(self) -> None:
        """Stop everything and become a new worker, because others consider this one dead."""
        for each in list(self.attempts.values()):
            await self.stop(each, Stop.LOST)
        await self.lease.end()
        self.lease = Lease()
        await self.lease.begin(concurrency=10)

    async def leave(self) -> None:
        """Stop cleanly, after the last attempt was settled."""
        assert not self.attempts
        await self.lease.end()
        await self.commits.close()
        await self._alone.aclose()
        self.dead = True

    async def die(self) -> None:
        """Crash: nothing more is written, and the database only sees its connection end."""
        self.dead = self.commits.dead = True
        await self.commits.close()
        for each in self.attempts.values():
            graph = each.execution._task
            for task in (each.task, graph):
                if task is not None:
                    task.cancel()
            await asyncio.wait([task for task in (each.task, graph) if task is not None])
        await self._disconnect()
        await self._alone.aclose()

    async def _disconnect(self) -> None:
        if connection.vendor != "postgresql":
            return
        await self.lease._disconnect()
        # The server frees the lock when it notices; the next holder has waited for that.
        await in_database(_await_lock, self.worker_id)


def _await_lock(worker_id: UUID) -> None:
    with connection.cursor() as cursor:
        key = leases.lock_key(worker_id)
        cursor.execute("SELECT pg_advisory_lock(%s), pg_advisory_unlock(%s)", [key, key])
