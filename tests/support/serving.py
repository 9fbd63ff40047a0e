"""The API over real HTTP, in the test's event loop, with a runtime that executes runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from runs.api.http.middleware import MIDDLEWARE
from runs.server.handler import LeanHandler
from runs.worker.opening import open_runtime


class Server(uvicorn.Server):
    """A server that stops at once.

    Uvicorn's polls ten times a second, and then sleeps for a tenth.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not handle signals, because the test runner does."""
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=1)
            for task in late:
                task.cancel()


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Open a runtime and serve the API; yield its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # asyncio does so for the sockets that it creates. Otherwise an answer's body waits 40 ms for the
        # headers' acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(LeanHandler(MIDDLEWARE), lifespan="off", log_level="error")
        server = Server(config)
        async with open_runtime():
            task = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                while not server.started:
                    await asyncio.sleep(0.005)
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.leave.set()
                await task
