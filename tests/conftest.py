"""Fixtures: a database, a runtime inside the test's own process, and real servers as subprocesses."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.driving import Driver
from tests.support.emptying import drop_in_use, empty_quickly
from threads.db.values.text import encodable

empty_quickly()
drop_in_use()


@pytest.fixture
def trace_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the graphs of `tests.support.graphs` record what they execute."""
    path = tmp_path / "trace"
    monkeypatch.setenv("TRACE_FILE", str(path))
    return path


@pytest.fixture
def run_settings(settings: Any, tmp_path: Path) -> Any:
    """Change a run setting: `run_settings(LEASE=2)`. Each test has its own checkpoint file."""
    base = {**settings.RUNS, "CHECKPOINTS_FILE": tmp_path / "checkpoints.sqlite3"}

    def change(**changes: Any) -> None:
        settings.RUNS = {**settings.RUNS, **changes}

    settings.RUNS = base
    return change


@pytest.fixture
async def driver(transactional_db: None, run_settings: Any, trace_file: Path) -> AsyncIterator[Driver]:
    """The runtime, open in this process, and a user who creates runs."""
    from runs.worker.opening import open_runtime
    from threads.db.database import threads

    async with open_runtime() as opened:
        yield await Driver.create(opened, trace_file)
    threads.close()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(config: pytest.Config, report: Any) -> Generator[None, Any, Any]:
    """Let reports of what has been logged come from one process to another, which lone surrogates would end."""
    return sendable((yield))


def sendable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {sendable(key): sendable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(sendable, value))
    return value


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests of the other database.

    On SQLite, for example, one process executes, and nothing is fenced.
    """
    other = "sqlite" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "postgresql"
    about_other = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=about_other)
    items[:] = [item for item in items if item not in about_other]
