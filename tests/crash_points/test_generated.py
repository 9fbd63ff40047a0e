"""A share of the generated cases, past failures, and the body of the long form.

The suite plays the same cases each time, in several tests that run beside each other; `make
crash-points` plays others. `CRASH_SEED` replays the cases of a seed, `CRASH_CASE` one printed case;
`CRASH_GRAPHS` is their number.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db import connection

from tests.crash_points.specs import Case, draw, parse
from tests.crash_points.trying import Counts, Finding, accidents, attempt, play, shrink
from tests.support.driving import Driver

#: The number of cases in a test of the suite, and of accidents of each; on PostgreSQL a write takes longer.
GRAPHS, POINTS = {"sqlite": 5, "postgresql": 2}, {"sqlite": 12, "postgresql": 8}
#: The first seeds of the tests.
SEEDS = (100, 200, 300, 400, 500)
#: Points of a case that failed once, which the suite draws by a printed seed; `make crash-points` plays all.
SHARE = {"sqlite": 20, "postgresql": 8}
#: Cases that failed once, with the durability in which they failed.
KNOWN = [
    # Breakpoints were passed after a crash: a run's, a compiled one, after the last node of a called subgraph.
    ("sync", '{"graph":{"layers":[[{"kind":"work"}],[{"kind":"work"}]]},"story":{"before":[1]}}'),
    ("async", '{"graph":{"layers":[[{"kind":"work"}],[{"kind":"work"}]]},"story":{"after":[0]}}'),
    ("exit", '{"graph":{"layers":[[{"kind":"work"}],[{"kind":"work"}]],"after":[0]},"story":{}}'),
    ("sync", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"work"}]],"after":[0]}}]]},"story":{}}'),
    # A command's update was applied twice.
    ("async", '{"graph":{"layers":[[{"kind":"ask","asks":1}],[{"kind":"work"}]]},"story":{"update":true}}'),
    # A later interrupt got the first one's answer: in a subgraph, in a task of a function.
    ("sync", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"ask","asks":2}]]}}]]},"story":{}}'),
    ("sync", '{"graph":{"layers":[[{"kind":"ask","asks":2}],[{"kind":"work"}]]},"story":{},"functional":true}'),
    # A plain answer was used twice.
    ("exit", '{"graph":{"layers":[[{"kind":"ask","asks":2}]]},"story":{"answers":"plain","edit":"plain"}}'),
    ("async", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"fan","asks":1}]]}}]]},"story":{"edit":"plain"}}'),
    # A later run's interrupt got the plain answer of the previous run.
    ("sync", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"ask","asks":1}]],"before":[0]}},{"kind":"ask","asks":1}]]},"story":{"edit":"plain"}}'),
    # A subgraph with persistent memory ignored its input, or applied it twice.
    ("sync", '{"graph":{"layers":[[{"kind":"work"}],[{"kind":"sub","graph":{"layers":[[{"kind":"work"}]],"memory":true}}]]},"story":{"turns":2}}'),
    ("exit", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"work"}]],"before":[0],"memory":true}}]]},"story":{}}'),
    # The same in the next run: after a stop, a breakpoint, an edit.
    ("async", '{"graph":{"layers":[[{"kind":"work"}],[{"kind":"call","graph":{"layers":[[{"kind":"work"}]],"memory":true}}]]},"story":{"turns":2}}'),
    ("sync", '{"graph":{"layers":[[{"kind":"work"}],[{"kind":"call","graph":{"layers":[[{"kind":"work"}]],"memory":true}}]],"before":[1]},"story":{"turns":2}}'),
    # A breakpoint after a node stopped the run before the node: new input had discarded it, after a jump to the parent.
    ("sync", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"parent"}],[{"kind":"work"}]],"after":[0],"memory":true}}],[{"kind":"work"}]]},"story":{"turns":2}}'),
    ("exit", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"parent"}],[{"kind":"work"}]],"after":[0],"memory":true}}],[{"kind":"work"}]]},"story":{"turns":2}}'),
    # An interrupt was shown again after a cancel, and its second answer was not used.
    ("sync", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"ask","asks":1}],[{"kind":"work"}]]}}]]},"story":{}}'),
    ("sync", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"ask","asks":1},{"kind":"ask","asks":2}]]}}]]},"story":{}}'),
    ("sync", '{"graph":{"layers":[[{"kind":"ask","asks":1},{"kind":"ask","asks":1}]]},"story":{"answers":"one"},"functional":true}'),
    ("exit", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"ask","asks":1}]]}}],[{"kind":"ask","asks":1}]]}}]]},"story":{"answers":"one"}}'),
    # A result that had not landed yet when the run was stopped was lost, or landed when the interrupt was shown again.
    ("async", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"ask","asks":1},{"kind":"ask","asks":1}]]}}]]},"story":{"answers":"one"}}'),
    # A node that waits for several others was not executed: a checkpoint was saved with a later arrival.
    ("async", '{"graph":{"layers":[[{"kind":"work"}],[{"kind":"work"},{"kind":"fan"}],[{"kind":"work"}]]},"story":{}}'),
    ("exit", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"parent","goto":true}]]}},{"kind":"fan"}],[{"kind":"ask","asks":1}]]},"story":{}}'),
    # Three steps of a subgraph were executed again: it ran ahead of the storage.
    ("async", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"fan"}],[{"kind":"work"}]]}}]]}}]]},"story":{}}'),
    # A fork inside a subgraph with a memory started it again, when the root graph's checkpoint of the fork had landed.
    ("sync", '{"graph":{"layers":[[{"kind":"call","graph":{"layers":[[{"kind":"ask","asks":1}]],"memory":true}}]]},"story":{"update":true,"fork":"inside"}}'),
    ("async", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"ask","asks":1}]],"memory":true}}]]},"story":{"update":true,"fork":"inside"}}'),
    # An older checkpoint was answered, and a task that ended there asked for its second answer again: only the first was stored.
    ("sync", '{"graph":{"layers":[[{"kind":"ask","asks":1},{"kind":"ask","asks":2}],[{"kind":"ask","asks":1}]]},"story":{"fork":"answer"}}'),
    # A plain answer to an older checkpoint went to a node beside the one that asked there, which was executed again.
    ("sync", '{"graph":{"layers":[[{"kind":"sub","graph":{"layers":[[{"kind":"parent"},{"kind":"ask","asks":2}],[{"kind":"parent"}]]}},{"kind":"fan"},{"kind":"sub","graph":{"layers":[[{"kind":"work"},{"kind":"ask","asks":1}],[{"kind":"goto"}]]}}]]},"story":{"answers":"all","turns":1,"update":true,"edit":"none","fork":"answer"}}'),
    # The interrupt of a command's target node was not shown.
    ("async", '{"graph":{"layers":[[{"kind":"ask","asks":1},{"kind":"work"}]]},"story":{"goto":"send"}}'),
]  # fmt: skip


#: A printed case, which replaces them.
GIVEN = [(each, os.environ["CRASH_CASE"]) for each in ("sync", "async", "exit") if "CRASH_CASE" in os.environ]


def share() -> int:
    """The number of points of a known case; all of a given one."""
    return 1000 if GIVEN else int(os.environ.get("CRASH_POINTS", SHARE[connection.vendor]))


@pytest.fixture
async def generated(transactional_db: None, run_settings: Any, trace_file: Path) -> AsyncIterator[Driver]:
    """A runtime whose only graph is that of the played case."""
    from runs.worker.opening import open_runtime
    from threads.db.database import threads

    run_settings(GRAPHS={"generated": "tests.crash_points.building:current"}, USER_RUNS_PER_MINUTE=0)
    async with open_runtime() as opened:
        yield await Driver.create(opened, trace_file)
    threads.close()


async def fails_somewhere(
    driver: Driver, case: Case, durability: str, *, points: int = 60, seed: int = 0
) -> Finding | None:
    possible, finding = await accidents(driver, case, durability)
    if finding:
        return finding
    for accident in Random(seed).sample(possible, min(points, len(possible))):
        problem, *_ = await play(driver, case, durability, accident)
        if problem:
            return Finding(case, durability, accident, problem)
    return None


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", [int(os.environ["CRASH_SEED"])] if "CRASH_SEED" in os.environ else SEEDS)
async def test_generated_cases_end_as_plain_langgraph_allows(generated: Driver, seed: int) -> None:
    graphs = int(os.environ.get("CRASH_GRAPHS", GRAPHS[connection.vendor]))
    points = int(os.environ.get("CRASH_POINTS", POINTS[connection.vendor]))
    print(f"CRASH_SEED={seed}, {graphs} graphs")
    counts, findings, began = Counts(), [], time.monotonic()
    for number in range(graphs):
        finding = await attempt(generated, draw(seed + number), seed + number, points=points, counts=counts)
        if finding is not None:

            async def fails(case: Case, found: Finding = finding) -> Finding | None:
                return await fails_somewhere(generated, case, found.durability)

            findings.append(
                await shrink(finding, fails) if os.environ.get("CRASH_SHRINK", "1") == "1" else finding
            )
            print(f"seed {seed + number}: {findings[-1]}", flush=True)
    print(f"{counts}, {len(findings)} findings, {time.monotonic() - began:.0f} s")
    assert not findings, "\n".join(str(each) for each in findings)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("durability", "text"), GIVEN or KNOWN)
async def test_a_case_that_was_wrong_once(generated: Driver, text: str, durability: str) -> None:
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(10**6))
    finding = await fails_somewhere(generated, parse(text), durability, points=share(), seed=seed)
    assert finding is None, f"CRASH_SEED={seed}: {finding}"
