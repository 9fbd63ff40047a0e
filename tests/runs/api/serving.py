"""The API over real HTTP, in the test's own event loop, beside a runtime that executes runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from deerflow_site.handler import LeanHandler
from runs.api.middleware import MIDDLEWARE
from runs.runtime import runtime


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the test runner."""
        yield


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Open a runtime and serve the API; give its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            LeanHandler(MIDDLEWARE), lifespan="off", log_level="error", timeout_graceful_shutdown=1
        )
        server = Server(config)
        async with runtime():
            task = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                while not server.started:
                    await asyncio.sleep(0.005)
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                await task
