"""Management commands, in the test's own process and in one of their own: output and exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import BaseCommand

from runs.management.commands.agents import Command

ROOT = Path(__file__).resolve().parents[2]


class Result:
    """The output of a command line in the test's own process, and its exit code."""

    def __init__(
        self, capsys: pytest.CaptureFixture[str], command: BaseCommand, name: str, *arguments: str
    ) -> None:
        self.code: Any = 0
        capsys.readouterr()
        try:
            command.run_from_argv(["manage.py", name, *arguments])
        except SystemExit as exit_:
            self.code = exit_.code
        self.out, self.err = capsys.readouterr()

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` of the example site in a process of its own, with these variables."""
    clean = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    clean |= {"DJANGO_SETTINGS_MODULE": "deerflow_site.settings", **environment}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=clean, text=True, capture_output=True, timeout=60, check=False
    )


class Agents:
    """Runs `manage.py agents` and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code: Any = 0
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> Agents:
        found = Result(self._capsys, Command(), "agents", *map(str, arguments))
        self.code, self.out, self.err = found.code, found.out, found.err
        return self

    @property
    def json(self) -> Any:
        """The one object that was printed."""
        assert self.out.count("\n") == 1, self.out
        found = json.loads(self.out)
        assert found.pop("schema") == 1
        return found

    @property
    def lines(self) -> list[Any]:
        """The objects that were printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]
