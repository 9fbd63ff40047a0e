"""A story on the runtime, with one accident: a crash at a write, or a stop in a node."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langgraph.types import StateUpdate

from runs.lifecycle.cancellation import cancel_run
from runs.lifecycle.outcomes import Stop
from runs.models import Run
from runs.requests.run import ContradictoryRequest
from runs.states.edits import update_state
from tests.crash_points.building import build, stage
from tests.crash_points.oracle import Plain, asked, beginning, place
from tests.crash_points.specs import Case
from tests.crash_points.telling import STOPPED, Shown, Teller, Told
from tests.scenarios.test_crash_points import DeadMan, survive
from tests.support.driving import NOTHING, Driver

GRAPH = "generated"
#: Accidents in a node that only end its attempt.
STOPS = {"drain": Stop.DRAIN, "timeout": Stop.TIMEOUT, "lease": Stop.LEASE}


@dataclass(frozen=True)
class Accident:
    """An accident and its place: before or after the `point`-th write, or in the `point`-th node.

    `drain` cancels the node like the last stage of a shutdown; `ask` lets it end first. `cancel` is
    a client's. `timeout` ends the run; `lease` makes the worker abandon it, because it could not
    renew its lease; a `lost` run's worker is dead.
    """

    kind: str
    point: int

    def __str__(self) -> str:
        return f"{self.kind} {self.point}"


class Served:
    """Plays a story on the runtime."""

    def __init__(self, driver: Driver, accident: Accident | None, durability: str) -> None:
        self._driver, self._accident, self._durability = driver, accident, durability
        self._thread: UUID | None = None
        self._run: Run | None = None
        self._entered = 0
        self.happened = False
        when = accident.kind if accident and accident.kind in ("before", "after") else ""
        point = accident.point if accident and when else 10**9
        self._dead_man = DeadMan(driver.runtime.storage, point=point, when=when)

    @property
    def writes(self) -> int:
        return self._dead_man.count

    @property
    def entered(self) -> int:
        return self._entered

    async def play(self, case: Case) -> Told:
        storage = self._driver.runtime.storage
        storage.commits = self._dead_man  # type: ignore[assignment]
        stage.enter = self._enter
        try:
            return await Teller(case, self).tell()
        finally:
            storage.commits = self._dead_man.real
            self.happened = self.happened or self._dead_man.dead

    async def _enter(self, name: str) -> None:
        self._entered += 1
        accident = self._accident
        if accident is None or self._entered != accident.point or accident.kind in ("before", "after"):
            return
        manager, run = self._driver.runtime.manager, self._run
        assert manager is not None
        assert run is not None
        active = manager.active.get(run.id)
        if active is None:
            return
        self.happened = True
        if accident.kind == "ask":
            active.execution.request_drain()
        elif accident.kind in STOPS:
            active.execution.stop(STOPS[accident.kind])
            await asyncio.Event().wait()
        elif accident.kind == "lost":
            self._dead_man.die()
            active.execution.stop(Stop.LOST)
            await asyncio.Event().wait()
        else:
            asking = asyncio.create_task(
                cancel_run(
                    run.id, thread_id=run.thread_id, principal=self._driver.principal, action="interrupt"
                )
            )
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.wait([asking])

    async def run(self, *, input: Any = None, command: Any = None, **fields: Any) -> Shown:
        if self._thread is None:
            fields["if_not_exists"] = "create"
        run = await self._driver.start(
            GRAPH,
            NOTHING if input is None else input,
            thread=self._thread,
            command=command,
            durability=self._durability,
            stream_modes=["values"],
            **{key: each for key, each in fields.items() if each},
        )
        self._thread, self._run = run.thread_id, run
        return await self._shown(await survive(self._driver, run, self._dead_man))

    async def edit(self, values: dict[str, Any], as_node: str | None) -> Shown | None:
        assert self._thread is not None
        assert self._run is not None
        updates = [[StateUpdate(values, as_node)]]
        try:
            await update_state(self._thread, updates, principal=self._driver.principal, checkpoint=None)  # type: ignore[arg-type]
        except ContradictoryRequest:
            return None
        return await self._shown(await self._driver.row(self._run))

    async def beginning(self) -> str:
        return await beginning(self._readable(), self._config)

    async def place(self, *, inside: bool) -> dict[str, Any]:
        return await place(self._readable(), self._config, inside=inside)

    async def asked(self, place: dict[str, Any]) -> dict[str, str]:
        return await asked(self._readable(), self._config, place)

    @property
    def _config(self) -> Any:
        return {"configurable": {"thread_id": str(self._thread)}}

    def _readable(self) -> Any:
        graph = copy.copy(stage.graph)
        graph.checkpointer = self._driver.runtime.storage.reader()
        return graph

    async def _shown(self, run: Run) -> Shown:
        thread = run.thread
        waiting = {each["id"]: each["value"] for asked in thread.interrupts.values() for each in asked}
        state = await self._readable().aget_state(self._config)
        committed = None
        if run.status in STOPPED:
            # A state read by its checkpoint's id omits the writes of finished tasks of its step.
            committed = repr((await self._readable().aget_state(state.config)).values)
        return Shown(run.status, thread.status, thread.values, waiting, tuple(state.next), committed)


@dataclass
class Played:
    """The results of plain LangGraph, and the nodes that it executed."""

    told: Told
    executed: dict[str, int]


async def expected(case: Case, durability: str) -> Played:
    """The results of plain LangGraph for a case; the last one is cached."""
    known = _last.get((str(case), durability))
    if known is None:
        known = await _expected(case, durability)
        _last.clear()
        _last[str(case), durability] = known
    return known


_last: dict[tuple[str, str], Played] = {}


async def _expected(case: Case, durability: str) -> Played:
    begin(case)
    plain = Plain(stage.graph, durability)
    told = await Teller(case, plain).tell()
    told.committed = plain.committed
    played = Played(told, dict(stage.executed))
    if durability == "exit":
        # A stopped run saves its state at any point.
        told.committed |= (await _expected(case, "sync")).told.committed
    return played


def begin(case: Case) -> None:
    """Set the stage for a case."""
    stage.executed.clear()
    stage.failed.clear()
    stage.enter = stage._nothing
    stage.graph = build(case)
