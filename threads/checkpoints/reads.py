"""Retrying reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from threads.checkpoints.commits import BACKOFF, LONGEST_BACKOFF
from threads.checkpoints.rows import StorageUnavailable
from threads.db.errors import is_passing

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def read_again(read: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """Read, with retries after transient faults. Raises StorageUnavailable after `seconds`."""
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
            logger.warning("Checkpoints could not be read; retrying in %g s: %s", pause, error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_BACKOFF)
