"""What reading states costs: as many statements for a hundred of them as for one."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from runs.state_reads import readable
from tests.driving import Driver
from threads.state import read_history, read_state


@pytest.mark.postgresql
async def test_a_history_is_one_statement_however_long_it_is(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await driver.finish(await driver.start("steps"))
    for _ in range(2):
        await driver.finish(await driver.start("steps", thread=run.thread_id))
    thread, statements = await driver.thread(run), []
    execute: Any = psycopg.AsyncCursor.execute

    async def counted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if "from checkpoints" in str(query):
            statements.append(query)
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    assert len(await read_history(thread, open_graph=readable, limit=10)) == 10
    assert len(await read_history(thread, open_graph=readable, limit=100)) == 36
    await read_state(thread, open_graph=readable)
    assert len(statements) == 3
