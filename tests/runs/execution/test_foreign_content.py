"""Whatever a graph or a model leaves, its run ends, after one execution."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runs.events.usage import MOST_TOKENS
from tests.runs.execution.foreign_graphs import SAID
from tests.support.driving import Driver

NAMES = ("claims",)


@pytest.fixture
async def foreign(transactional_db: None, run_settings: Any, trace_file: Path) -> AsyncIterator[Driver]:
    from runs.worker.opening import open_runtime
    from threads.db.database import threads

    graphs = {name: f"tests.runs.execution.foreign_graphs:{name}" for name in NAMES}
    run_settings(GRAPHS=graphs, SWEEP=1000.0, POLL=0.1)
    async with open_runtime() as opened:
        yield await Driver.create(opened, trace_file)
    threads.close()


@pytest.mark.parametrize("how", SAID)
async def test_any_count_of_tokens_is_a_success(foreign: Driver, how: str) -> None:
    run = await foreign.finish(await foreign.start("claims", {"how": how}))
    assert (run.status, run.attempt, run.thread.status) == ("success", 1, "idle")
    assert run.input_tokens == (MOST_TOKENS if how in ("huge", "large") else 0)
    assert run.output_tokens == 4
