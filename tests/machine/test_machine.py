"""The invariants hold under any order of client, worker and operator actions and faults.

MACHINE_EXAMPLES=2000 tries more, random examples instead of the fixed ones of each run of the
suite.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.rules import Life
from tests.machine.site import Site

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))


@pytest.mark.timeout(0 if EXAMPLES else 900)
def test_runs_keep_their_promises_whatever_happens(site: Site) -> None:
    class Here(Life):
        pass

    Here.site = site
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES or 40,
            stateful_step_count=40,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
