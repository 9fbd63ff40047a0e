"""The alarm for a blocked event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from runs.watchdog import watched_loop


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
