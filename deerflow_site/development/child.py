"""A server process, from the supervisor's side."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

Message = dict[str, Any]
#: Longest time that a server process may take to drain and to exit, in seconds; it is killed afterwards. Recovery
#: finds its runs.
EXIT = 10.0


class Child:
    """One server process. It is prepared, then imports the project, then serves, and is used once."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self._reader, self._writer = reader, writer

    @classmethod
    async def start(
        cls, listener: socket.socket, environ: Mapping[str, str], modules: Sequence[str] = ()
    ) -> Child:
        """Start a process that imports all libraries, and `modules`, and then waits."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "deerflow_site.development.server",
                str(theirs.fileno()),
                str(listener.fileno()),
                env=dict(environ),
                pass_fds=(theirs.fileno(), listener.fileno()),
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=2**24)
        child = cls(process, reader, writer)
        child._tell(modules=list(modules))
        return child

    def _tell(self, **message: Any) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _hear(self) -> Message:
        """The next message; what a process says that ends without one."""
        try:
            line = await self._reader.readline()
        except (OSError, ValueError):
            line = b""
        if line:
            message: Message = json.loads(line)
            return message
        code = await self.process.wait()
        return {"event": "failed", "messages": [f"The server process ended with {_named(code)}."]}

    async def load(self, *, first: bool, host: str) -> Message:
        """Let it import the project; return `loaded` or `failed`."""
        prepared = await self._hear()
        if prepared["event"] != "prepared":
            return prepared
        self._tell(first=first, host=host)
        return await self._hear()

    async def serve(self) -> Message:
        """Let it serve; return `serving` or `failed`."""
        self._tell(serve=True)
        return await self._hear()

    async def stop(self) -> None:
        """Drain it, and wait until it has exited."""
        self.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(EXIT):
                await self.process.wait()
        self.kill()
        await self.process.wait()
        self._writer.close()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    @property
    def ended(self) -> str | None:
        """How it ended; None while it runs."""
        code = self.process.returncode
        return None if code is None else _named(code)


def _named(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
