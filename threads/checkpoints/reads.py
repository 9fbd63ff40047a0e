"""Reads that a stock saver does not do: again what could not be read, and what its filters cannot say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import orjson
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from threads.checkpoints.commits import BACKOFF, LONGEST_BACKOFF
from threads.checkpoints.rows import StorageUnavailable
from threads.containment import SQLITE_FUNCTION, contains_text
from threads.faults import is_passing

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def read_again(read: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """Read, again and again after faults that pass. Raises StorageUnavailable once `seconds` are used up."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, BACKOFF
    while True:
        try:
            return await read()
        except Exception as error:
            if not is_passing(error):
                raise
            if loop.time() + pause >= deadline:
                raise StorageUnavailable(
                    f"The checkpoint storage could not be read for {seconds:g} s."
                ) from error
            logger.warning("Checkpoints could not be read, trying again in %g s: %s", pause, error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_BACKOFF)


#: The stock saver of SQLite compares values one by one, and takes plain words for keys alone.
MATCHING = f"""
SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND (? IS NULL OR checkpoint_id < ?)
    AND {SQLITE_FUNCTION}(CAST(metadata AS TEXT), ?)
ORDER BY checkpoint_id DESC LIMIT ?
"""


async def matching_checkpoints(
    saver: Any, *, thread_id: str, ns: str, before: str | None, metadata: Mapping[str, Any], limit: int
) -> list[str] | None:
    """The newest checkpoints whose metadata contain what is wanted; None if the saver's own filter finds them."""
    if not isinstance(saver, AsyncSqliteSaver):
        return None
    wanted = orjson.dumps(dict(metadata)).decode()
    async with saver.lock:
        await saver.conn.create_function(SQLITE_FUNCTION, 2, contains_text, deterministic=True)
        async with saver.conn.execute(MATCHING, (thread_id, ns, before, before, wanted, limit)) as rows:
            return [str(name) async for (name,) in rows]
