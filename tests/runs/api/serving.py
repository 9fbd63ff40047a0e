"""The API over real HTTP, in the test's own event loop, beside a runtime that executes runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from deerflow_site.handler import LeanHandler
from runs.runtime import runtime


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers, which belong to the test runner here."""

    def install_signal_handlers(self) -> None:
        pass

    async def serving(self) -> None:
        await self.serve()


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Open a runtime and serve the API; give its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(LeanHandler(), lifespan="off", log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        async with runtime():
            task = asyncio.create_task(server._serve(sockets=[listener]))
            try:
                while not server.started:
                    await asyncio.sleep(0.005)
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                await task
