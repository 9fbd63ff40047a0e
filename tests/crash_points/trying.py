"""One case under many accidents, and the shrinking of failures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from django.db import connection

from tests.crash_points.building import stage
from tests.crash_points.judging import STEPS, wrong
from tests.crash_points.playing import Accident, Served, begin, expected
from tests.crash_points.specs import Case, named_nodes, smaller
from tests.support.driving import Driver

#: The time limit of one story, in seconds.
PATIENCE = 60.0
#: Cases with at most this many nodes are played with an accident at every point.
SMALL = 3


@dataclass(frozen=True)
class Finding:
    case: Case
    durability: str
    accident: Accident | None
    problem: str

    def __str__(self) -> str:
        return f"{self.case}\n    {connection.vendor}, {self.durability}, {self.accident or 'no accident'}: {self.problem}"


@dataclass
class Counts:
    cases: int = 0
    accidents: int = 0


async def play(
    driver: Driver, case: Case, durability: str, accident: Accident | None
) -> tuple[str, int, int, bool]:
    """Play a case once.

    Return the violation, the numbers of writes and nodes, and whether the accident happened.
    """
    wanted = await expected(case, durability)
    begin(case)
    served = Served(driver, accident, durability)
    try:
        async with asyncio.timeout(PATIENCE):
            told = await served.play(case)
    except Exception as error:
        return f"{type(error).__name__}: {error}", served.writes, served.entered, True
    kind = accident.kind if accident and served.happened else ""
    # A node that fails once may fail again in another task.
    kinds = {name: node.kind for name, node in named_nodes(case.graph)}
    before, now = (
        {name: count for name, count in each.items() if kinds.get(name) != "flaky"}
        for each in (wanted.executed, stage.executed)
    )
    # All tasks of a function belong to one step; a jump executes nodes of several layers in one step, or one
    # of them twice.
    jumps = '"goto":' in str(case)
    steps = None if case.functional or jumps else STEPS.get(durability)
    problem = wrong(wanted.told, before, told, now, kind=kind, steps=steps, tasks=1 + jumps)
    return problem, served.writes, served.entered, served.happened


async def accidents(driver: Driver, case: Case, durability: str) -> tuple[list[Accident], Finding | None]:
    """All points of a case for accidents; a finding if the case fails without an accident."""
    problem, writes, entered, _ = await play(driver, case, durability, None)
    if problem:
        return [], Finding(case, durability, None, problem)
    points = [Accident(kind, point) for kind in ("before", "after") for point in range(1, writes + 1)]
    story = case.story
    kinds = ["drain", "ask", "lease", "lost"]
    # An edit is made at the first interrupt, which a stopped run may show earlier.
    if not story.edit and (await expected(case, durability)).told.shown[-1].status != "error":
        kinds += ["cancel", "timeout"]
    points += [Accident(kind, point) for kind in kinds for point in range(1, entered + 1)]
    return points, None


def durabilities(case: Case) -> tuple[str, ...]:
    """The durabilities in which plain LangGraph behaves the same for this case.

    `exit` saves neither earlier checkpoints nor all pending writes. With it, a node named by a jump
    to the parent executes once less if the others of its layer are still awaited.
    """
    named = any(node.goto for _, node in named_nodes(case.graph))
    return ("sync", "async") if case.story.fork or named else ("sync", "async", "exit")


async def attempt(driver: Driver, case: Case, seed: int, *, points: int, counts: Counts) -> Finding | None:
    """Play a case with a durability and accidents drawn from a seed."""
    rng = random.Random(seed)
    durability = rng.choice(durabilities(case))
    try:
        await expected(case, durability)
    except Exception as error:
        # For example an update that plain LangGraph accepts but cannot read back.
        print(f"left out, plain LangGraph fails: {type(error).__name__}: {error}")
        return None
    possible, finding = await accidents(driver, case, durability)
    counts.cases += 1
    if finding:
        return finding
    drawn = possible if case.graph.size <= SMALL else rng.sample(possible, min(points, len(possible)))
    for accident in drawn:
        problem, _, _, happened = await play(driver, case, durability, accident)
        counts.accidents += happened
        if problem:
            return Finding(case, durability, accident, problem)
    return None


async def shrink(
    finding: Finding, fails: Callable[[Case], Awaitable[Finding | None]], *, tries: int = 60
) -> Finding:
    """Return the smallest failing case found."""
    for _ in range(tries):
        for case in smaller(finding.case):
            if (found := await fails(case)) is not None:
                finding = found
                break
        else:
            return finding
    return finding
