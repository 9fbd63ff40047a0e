"""One case under many accidents, and what fails made small."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from django.db import connection

from tests.crash_points.building import stage
from tests.crash_points.judging import STEPS, wrong
from tests.crash_points.playing import Accident, Served, begin, expected
from tests.crash_points.specs import Case, named_nodes, smaller
from tests.support.driving import Driver

#: How long one story may take, in seconds.
PATIENCE = 60.0
#: Cases up to this many nodes are played with an accident at every point.
SMALL = 3


@dataclass(frozen=True)
class Finding:
    case: Case
    durability: str
    accident: Accident | None
    problem: str

    def __str__(self) -> str:
        return f"{self.case}\n    {connection.vendor}, {self.durability}, {self.accident or 'no accident'}: {self.problem}"


#: What the kinds of accidents are called in the summary.
CALLED = {
    "before": "deaths", "after": "deaths", "lost": "deaths", "drain": "drains", "ask": "drains", "cancel": "cancels",
    "timeout": "timeouts", "lease": "lost leases",
}  # fmt: skip


@dataclass
class Counts:
    cases: int = 0
    #: How many runs the stories have in all, on plain LangGraph.
    runs: int = 0
    accidents: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        names = dict.fromkeys(CALLED.values(), 0)
        for kind, count in self.accidents.items():
            names[CALLED[kind]] += count
        kinds = ", ".join(f"{count} {name}" for name, count in names.items())
        return f"{self.cases} cases, {self.runs} runs, {self.accidents.total()} accidents ({kinds})"


async def play(
    driver: Driver, case: Case, durability: str, accident: Accident | None
) -> tuple[str, int, int, bool]:
    """Play a case once; return what is wrong, how many writes and nodes there were, and whether the accident happened."""
    wanted = await expected(case, durability)
    begin(case)
    served = Served(driver, accident, durability)
    try:
        async with asyncio.timeout(PATIENCE):
            told = await served.play(case)
    except Exception as error:
        return f"{type(error).__name__}: {error}", served.writes, served.entered, True
    kind = accident.kind if accident and served.happened else ""
    # A node that fails once may fail again when its task is another one.
    kinds = {name: node.kind for name, node in named_nodes(case.graph)}
    before, now = (
        {name: count for name, count in each.items() if kinds.get(name) != "flaky"}
        for each in (wanted.executed, stage.executed)
    )
    # All tasks of a function are of one step. A jump executes nodes of several layers in one, or one of them twice; a deferred
    # node does not wait for what a fan sends.
    jumps = '"goto":' in str(case)
    steps = None if case.functional or jumps or "deferred" in str(case) else STEPS.get(durability)
    problem = wrong(wanted.told, before, told, now, kind=kind, steps=steps, tasks=1 + jumps)
    return problem, served.writes, served.entered, served.happened


async def accidents(driver: Driver, case: Case, durability: str) -> tuple[list[Accident], Finding | None]:
    """Every point of a case where something may happen; a finding if it is wrong without."""
    problem, writes, entered, _ = await play(driver, case, durability, None)
    if problem:
        return [], Finding(case, durability, None, problem)
    points = [Accident(kind, point) for kind in ("before", "after") for point in range(1, writes + 1)]
    story = case.story
    kinds = ["drain", "ask", "lease", "lost"]
    # An edit or a fork is made at what waits first, which a stopped run may show earlier. The run after a stopped fork is not a fork,
    # and does not look for earlier memories.
    same = not story.edit and (not story.fork or (story.fork == "start" and '"memory"' not in str(case)))
    if same and (await expected(case, durability)).told.shown[-1].status != "error":
        kinds += ["cancel", "timeout"]
    points += [Accident(kind, point) for kind in kinds for point in range(1, entered + 1)]
    return points, None


def durabilities(case: Case) -> tuple[str, ...]:
    """Those in which plain LangGraph goes on as in the others.

    `exit` saves no earlier checkpoint to go on from, and not all of what is stored beside one.
    """
    return ("sync", "async") if case.story.fork else ("sync", "async", "exit")


async def attempt(driver: Driver, case: Case, seed: int, *, points: int, counts: Counts) -> Finding | None:
    """Play a case with a durability and accidents drawn from a seed."""
    rng = random.Random(seed)
    durability = rng.choice(durabilities(case))
    try:
        plain = await expected(case, durability)
    except Exception as error:
        # Such as an update that plain LangGraph accepts and cannot read again.
        print(f"left out, plain LangGraph fails: {type(error).__name__}: {error}")
        return None
    possible, finding = await accidents(driver, case, durability)
    counts.cases += 1
    counts.runs += len(plain.told.shown)
    if finding:
        return finding
    drawn = possible if case.graph.size <= SMALL else rng.sample(possible, min(points, len(possible)))
    for accident in drawn:
        problem, _, _, happened = await play(driver, case, durability, accident)
        counts.accidents[accident.kind] += happened
        if problem:
            return Finding(case, durability, accident, problem)
    return None


async def shrink(
    finding: Finding, fails: Callable[[Case], Awaitable[Finding | None]], *, tries: int = 60
) -> Finding:
    """The smallest case that still fails, as far as it is found."""
    for _ in range(tries):
        for case in smaller(finding.case):
            if (found := await fails(case)) is not None:
                finding = found
                break
        else:
            return finding
    return finding
