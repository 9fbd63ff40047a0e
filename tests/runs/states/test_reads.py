"""The cost of reading states: as many statements for a hundred as for one."""

from __future__ import annotations

from typing import Any

import aiosqlite
import psycopg
import pytest

from runs.states.reads import readable
from tests.support.driving import Driver
from threads.state.read import read_history, read_state


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements about checkpoints that readers execute from now on."""
    found: list[str] = []

    def count(kind: Any, name: str) -> None:
        execute = getattr(kind, name)

        def counted(self: Any, query: Any, *args: Any, **options: Any) -> Any:
            if "checkpoint" in str(query):
                found.append(str(query))
            return execute(self, query, *args, **options)

        monkeypatch.setattr(kind, name, counted)

    count(psycopg.AsyncCursor, "execute")
    count(aiosqlite.Cursor, "execute")
    count(aiosqlite.Connection, "execute_fetchall")
    return found


async def test_a_history_is_one_statement_however_long_it_is(driver: Driver, statements: list[str]) -> None:
    run = await driver.finish(await driver.start("steps"))
    for _ in range(2):
        await driver.finish(await driver.start("steps", thread=run.thread_id))
    thread = await driver.thread(run)
    for options, length in (
        ({"limit": 10}, 10),
        ({"limit": 100}, 36),
        ({"limit": 100, "metadata": {"source": "loop"}}, 33),
        ({"limit": 100, "metadata": {"source": "input"}}, 3),
    ):
        statements.clear()
        assert len([each async for each in read_history(thread, open_graph=readable, **options)]) == length  # type: ignore[arg-type]
        assert len(statements) == 1, options
    statements.clear()
    await read_state(thread, open_graph=readable)
    assert 1 <= len(statements) <= 2


async def test_a_subgraphs_history_is_one_statement_too(driver: Driver, statements: list[str]) -> None:
    run = await driver.finish(await driver.start("nested"))
    thread = await driver.thread(run)
    [ns] = {
        task["checkpoint"]["checkpoint_ns"]
        async for state in read_history(thread, open_graph=readable, limit=100)
        for task in state["tasks"]
        if task["checkpoint"]
    }
    statements.clear()
    assert (
        len([each async for each in read_history(thread, open_graph=readable, limit=100, checkpoint_ns=ns)])
        > 2
    )
    assert len(statements) == 1
