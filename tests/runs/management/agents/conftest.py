"""Commands in the test's own process, and finished runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runs.models import Run
from runs.worker.opening import open_runtime
from tests.support.commands import Agents
from tests.support.driving import NOTHING, Driver
from threads.db.database import threads


@pytest.fixture
def agents(capsys: pytest.CaptureFixture[str]) -> Agents:
    return Agents(capsys)


@pytest.fixture
def executed(transactional_db: None, run_settings: Any, trace_file: Path) -> Any:
    """Execute runs and return them ended; the runtime is closed then, as commands open one of their own."""

    async def execute(graph: str, input: Any, fields: dict[str, Any], run: Run | None) -> Run:
        async with open_runtime() as opened:
            driver = await Driver.create(opened, trace_file)
            if run is None:
                run = await driver.start(graph, input, **fields)
            return await driver.finish(run)

    def ended(graph: str = "steps", input: Any = None, *, run: Run | None = None, **fields: Any) -> Run:
        try:
            return asyncio.run(execute(graph, input, fields, run))
        finally:
            threads.close()

    ended.nothing = NOTHING  # type: ignore[attr-defined]
    return ended
