"""Whatever a graph or a model leaves, its run ends, after one execution."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from runs.events.usage import MOST_TOKENS
from tests.runs.execution.foreign_graphs import RAISED, SAID
from tests.support.driving import Driver

ERRORS = {
    "surrogate": ("ValueError", "caf\ufffd.txt"),
    "nul": ("ValueError", "a\0b"),
    "mute": ("Mute", "<exception str() failed>"),
    "unnamed": ("Unnamed", "x\0\ufffd"),
    "key": ("KeyError", "<exception str() failed>"),
    "odd": ("LookupError", "(b'\\xe9', {1: {2}}, 'caf\\udce9')"),
    "group": ("ExceptionGroup", "caf\ufffd (2 sub-exceptions)"),
}
NAMES = ("claims", "raises", "surrogate", "nul")


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


@pytest.mark.parametrize("how", RAISED)
async def test_any_exception_is_an_error_after_one_execution(foreign: Driver, how: str) -> None:
    run = await foreign.finish(await foreign.start("raises", {"how": how}))
    assert (run.status, run.attempt, run.thread.status) == ("error", 1, "error")
    assert foreign.executions(run)["act"] == 1
    assert run.thread.error is not None
    kind, message = run.error["error"], run.error["message"]
    assert (kind, message) == ERRORS[how]
    assert run.failure["node"] == "act"
    assert orjson.loads((await foreign.events(run))[-1].data) == run.thread.error


@pytest.mark.parametrize("graph", ["surrogate", "nul"])
async def test_any_name_of_a_node_ends_after_one_execution(foreign: Driver, graph: str) -> None:
    modes = ["values", "updates", "tasks"]
    run = await foreign.finish(await foreign.start(graph, {}, stream_modes=modes, stream_subgraphs=True))
    assert run.status in ("success", "error")
    assert (run.attempt, run.thread.status) == (1, "idle" if run.status == "success" else "error")
