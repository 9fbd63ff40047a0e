"""One save with a run in the middle, and what must hold afterwards."""

from __future__ import annotations

import random
import time
from collections import Counter

from tests.processes.harness import eventually
from tests.reloads.dev import Dev
from tests.reloads.project import STEPS, Project


def save_within_a_run(project: Project, dev: Dev, moment: random.Random, *, hold: bool) -> float:
    """Save while a run executes; return the seconds until the new code serves.

    Args:
        hold: Whether a step is in progress all the time, so that it is cut off.

    The run must end well, with each step once in its state, in order. A step that was cut off is executed again,
    and no other; what was not yet executed is executed by the new code.
    """
    project.forget()
    if hold:
        project.hold.touch()
    run = dev.start()
    eventually(lambda: len(project.trace()) >= (5 if hold else 2), what="some steps")
    time.sleep(moment.uniform(0, project.seconds))
    since = time.monotonic()
    version = project.save()
    took = dev.serves(version, since=since)
    project.hold.unlink(missing_ok=True)
    row = dev.end(run)
    assert row["status"] == "success", (row, dev.output)
    names = [f"s{number}" for number in range(STEPS)]
    assert dev.values(run)["log"] == names, (dev.values(run), project.trace())
    trace = project.trace()
    repeated = {name: count for name, count in Counter(name for name, _ in trace).items() if count > 1}
    if hold:
        assert repeated == {"s4": 2} and trace[-1] == ("s7", version), trace
    assert len(repeated) <= 1 and max(repeated.values(), default=1) <= 2, trace
    versions = [number for _, number in trace]
    assert versions == sorted(versions), trace
    return took
