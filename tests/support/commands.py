"""`manage.py agents` in the test's own process: its output, and its exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runs.management.commands.agents import Command


class Agents:
    """Runs a command line and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code: Any = 0
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> Agents:
        self.code = 0
        self._capsys.readouterr()
        try:
            Command().run_from_argv(["manage.py", "agents", *map(str, arguments)])
        except SystemExit as exit_:
            self.code = exit_.code
        self.out, self.err = self._capsys.readouterr()
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
