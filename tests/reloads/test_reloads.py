"""`deerflow dev` reloads without losing a run, and survives code that cannot be imported."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.reloads.dev import Dev
from tests.reloads.playing import save_within_a_run
from tests.reloads.project import Project

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def test_a_save_in_the_middle_of_a_run_and_a_syntax_error(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    with Dev(project.folder) as dev:
        dev.ready()
        dev.says("✓ Serving")
        assert "\x1b[" not in dev.output
        assert "password" in dev.output and "./agent.py:graph" in dev.output
        # On an idle machine it takes 2 s.
        assert save_within_a_run(project, dev, random.Random(1), hold=True) < 30

        served = project.version
        project.save("\ndef broken(:\n")
        dev.says("cannot be loaded: SyntaxError")
        dev.says("The previous code is still served")
        assert dev.get("/version") == str(served)
        dev.serves(project.save(), since=time.monotonic())
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(30) == 0
    assert (project.folder / ".deerflow" / "db.sqlite3").exists()
    assert "Traceback" not in dev.output
