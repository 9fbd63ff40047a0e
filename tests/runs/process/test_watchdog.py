"""The alarm for a blocked event loop."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from typing import Any

import pytest

from runs.process.watchdog import EXIT_CODE, watched_loop


def compute_for_a_while() -> None:
    time.sleep(0.5)


async def test_a_blocked_loop_is_named_with_the_line_that_blocks_it(
    run_settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run_settings(LOOP_ALARM=0.1)
    with watched_loop():
        await asyncio.sleep(0.1)
        assert not caplog.records
        compute_for_a_while()
        compute_for_a_while()
        await asyncio.sleep(0.05)
    [alarm] = caplog.records
    assert alarm.levelno == logging.ERROR
    assert "blocked for 0.1 s" in alarm.message
    assert "compute_for_a_while" in alarm.message


async def test_a_loop_that_only_waits_raises_no_alarm_and_neither_does_a_switched_off_one(
    run_settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run_settings(LOOP_ALARM=0.2)
    with watched_loop():
        await asyncio.sleep(0.5)
    run_settings(LOOP_ALARM=0)
    with watched_loop():
        compute_for_a_while()
        await asyncio.sleep(0)
    assert not caplog.records


BLOCKED = """
import asyncio, os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
from django.conf import settings
settings.DEBUG = sys.argv[1] == "debug"
settings.RUNS = {**settings.RUNS, "LOOP_ALARM": 0.2, "LEASE": 1.0}
django.setup()
from runs.process.watchdog import EXIT_CODE, watched_loop

async def main():
    with watched_loop():
        await asyncio.sleep(0.1)
        time.sleep(4)

asyncio.run(main())
"""


@pytest.mark.parametrize(("mode", "code"), [("production", EXIT_CODE), ("debug", 0)])
def test_a_process_whose_loop_is_blocked_past_its_lease_ends(mode: str, code: int) -> None:
    """Nothing else could end it: it serves no requests and handles no signal.

    A debugger's breakpoint is exempt.
    """
    done = subprocess.run([sys.executable, "-c", BLOCKED, mode], timeout=60, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert ("This process exits now" in done.stderr) is (code != 0)
