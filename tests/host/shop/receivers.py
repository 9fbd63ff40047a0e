"""Receivers that write down what they hear; files beside the log say what goes wrong meanwhile."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from django.conf import settings
from django.dispatch import receiver

from runs.signals import run_finished, run_interrupted, run_started

NAMES = {run_started: "run_started", run_interrupted: "run_interrupted", run_finished: "run_finished"}


@receiver([run_started, run_interrupted, run_finished])
def hear(signal: Any, sender: Any, **heard: Any) -> None:
    if going_wrong("kill"):
        os.kill(os.getpid(), KILL)
    if going_wrong("raise"):
        raise ValueError("The receiver is out of order.")
    line = {"signal": NAMES[signal], "sender": sender.__name__, **heard}
    with (settings.DATA / "signals").open("a") as file:
        file.write(json.dumps(line, default=str) + "\n")


KILL = signal.SIGKILL


def going_wrong(how: str) -> bool:
    """Whether a test wants this, once."""
    file = settings.DATA / how
    if not file.exists():
        return False
    file.unlink()
    return True
