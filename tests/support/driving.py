"""Drives runs in the test's process, by the functions of the API, commands and admin."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from runs.models import Run
from runs.process.current import Runtime
from runs.requests.run import RunRequest
from threads.db.database import in_database
from threads.models import Thread

numbers = itertools.count()
NOTHING = object()


@dataclass(frozen=True)
class User:
    user_id: int


@dataclass
class Driver:
    runtime: Runtime
    trace_file: Path
    principal: User = field(default_factory=lambda: User(0))

    @classmethod
    async def create(cls, runtime: Runtime, trace_file: Path) -> Driver:
        from django.contrib.auth import get_user_model

        name = f"user-{next(numbers)}"
        user = await in_database(get_user_model().objects.create_user, name)
        return cls(runtime, trace_file, User(user.pk))

    async def start(self, graph: str, input: Any = None, *, thread: UUID | None = None, **fields: Any) -> Run:
        from runs.lifecycle.admission import create_run

        fields.setdefault("stream_modes", ["values", "updates"])
        input = {"log": []} if input is None else None if input is NOTHING else input
        request = RunRequest(assistant_id=graph, input=input, **fields)
        return await create_run(request, principal=self.principal, thread_id=thread)

    async def go_on(self, graph: str, *, thread: UUID, **fields: Any) -> Run:
        """Run a thread without input, from its current state."""
        return await self.start(graph, NOTHING, thread=thread, **fields)

    async def resume(self, graph: str, answer: Any, *, thread: UUID, **fields: Any) -> Run:
        return await self.start(graph, thread=thread, command={"resume": answer}, **fields)

    async def events(self, run: Run, after: tuple[int, int] | None = (0, 0)) -> list[Any]:
        """All events of a run, until it is terminal."""
        async with asyncio.timeout(30):
            return [event async for batch in self.runtime.hub.follow(run.id, after) for event in batch]

    async def follow(self, run: Run, after: tuple[int, int] | None = (0, 0)) -> AsyncIterator[Any]:
        async for batch in self.runtime.hub.follow(run.id, after):
            for event in batch:
                yield event

    async def finish(self, run: Run) -> Run:
        """Wait until a run is terminal; return its row, with its thread."""
        async with asyncio.timeout(30):
            await self.runtime.hub.settled(run.id)
        return await self.row(run)

    async def row(self, run: Run) -> Run:
        return await in_database(Run.objects.select_related("thread").get, id=run.id)

    async def thread(self, run: Run) -> Thread:
        return await in_database(Thread.objects.get, id=run.thread_id)

    async def until(self, run: Run, status: str) -> Run:
        """Wait until a run has a status."""
        async with asyncio.timeout(30):
            with self.runtime.wakeups.bell(run.id) as bell:
                while (row := await self.row(run)).status != status:
                    await bell.wait(0.02)
                    bell.clear()
        return row

    async def executing(self, run: Run, node: str) -> None:
        """Wait until a node of a run has begun."""
        async with asyncio.timeout(30):
            while not self.executions(run)[node]:
                await asyncio.sleep(0.005)

    def executions(self, run: Run) -> Counter[str]:
        """How often each node of a run began."""
        return executions(self.trace_file, str(run.id))


def executions(trace_file: Path, run_id: str) -> Counter[str]:
    if not trace_file.exists():
        return Counter()
    lines = [line.split() for line in trace_file.read_text().splitlines()]
    return Counter(name for owner, name in lines if owner == run_id)
