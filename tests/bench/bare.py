"""The limit: a bare `graph.astream` loop with LangGraph's stock saver, in a separate process.

Each JSON line on stdin orders a measurement; each is answered by a line on stdout.
"""

from __future__ import annotations

import asyncio
import copy
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from tests.bench import graphs
from tests.bench.loops import repeat


@asynccontextmanager
async def stock_saver(database: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """The saver that LangGraph's documentation sets up, of a PostgreSQL URL or an SQLite file."""
    if database.startswith("postgresql:"):
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
        from psycopg.rows import dict_row
        from psycopg_pool import AsyncConnectionPool

        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        async with AsyncConnectionPool(database, max_size=20, kwargs=options, open=False) as pool:
            postgres = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
            await postgres.setup()
            yield postgres
    else:
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(database) as sqlite:
            await sqlite.setup()
            yield sqlite


async def measure(saver: Any, order: dict[str, Any]) -> dict[str, float]:
    graph = copy.copy(getattr(graphs, order["graph"]))
    graph.checkpointer = saver
    modes, in_events = (
        [{"messages-tuple": "messages"}.get(mode, mode) for mode in order["modes"]],
        order["events"],
    )

    async def run(worker: int) -> int:
        config = {"configurable": {"thread_id": str(uuid.uuid4())}}
        events = 0
        async for mode, _ in graph.astream(order["input"], config, stream_mode=modes, durability="async"):
            events += mode == "messages"
        if in_events and events != order["events"]:
            raise RuntimeError(f"{events} tokens arrived, not {order['events']}.")
        return events if in_events else 1

    cpu = time.process_time()
    tally = await repeat(run, workers=order["workers"], seconds=order["seconds"])
    return asdict(tally) | {"cpu": time.process_time() - cpu}


async def main(database: str) -> None:
    loop = asyncio.get_running_loop()
    async with stock_saver(database) as saver:
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await measure(saver, json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
