"""Keeps one server process serving the project's newest code that could be imported."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deerflow_site.development.child import Child, Message
from deerflow_site.development.terminal import Terminal
from deerflow_site.development.watching import Watcher
from deerflow_site.project import Project, ProjectError, dependencies, read

PATTERNS = ("*.py",)
#: Files that change what a process has prepared: none of its imports may be kept.
PREPARED = ("requirements.txt", "pyproject.toml")
#: A process that ends by itself sooner, in seconds, is not replaced before the next save.
LEAST = 10.0


class Supervisor:
    """Starts, replaces and stops the server processes.

    Args:
        listener: The socket on which they serve, one after the other.
        announce: Called with the first start's result when the first process serves.
    """

    def __init__(
        self,
        project: Project,
        listener: socket.socket,
        *,
        host: str,
        environ: Mapping[str, str],
        terminal: Terminal,
        announce: Callable[[Message], None],
        patterns: Sequence[str] = PATTERNS,
        reload: bool = True,
    ) -> None:
        self.project, self.listener, self.host = project, listener, host
        self.environ, self.terminal, self.announce = environ, terminal, announce
        self.patterns, self.reload = patterns, reload
        self.current: Child | None = None
        self.spare: Child | None = None
        self._modules: list[str] = []
        self._apology: asyncio.Server | None = None
        self._began = self._served = 0.0
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Serve until a stop signal; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        serving = asyncio.create_task(self._serve())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        code = serving.result() if serving.done() else 0
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        for child in (self.spare, self.current):
            if child is not None:
                await (child.stop() if child is self.current else self._discard(child))
        return code

    async def _serve(self) -> int:
        watcher = self._watcher()
        child = await Child.start(self.listener, self.environ)
        self.current = child
        loaded = await child.load(first=True, host=self.host)
        if loaded["event"] == "loaded":
            served = await child.serve()
            if served["event"] == "serving":
                self._note(loaded, watcher)
                self.announce(loaded)
                return await self._watch(watcher)
            loaded = served
        self._show(loaded)
        return 1

    async def _watch(self, watcher: Watcher) -> int:
        """Reload at each change. Ends when the server ends by itself and is not reloaded."""
        await self._prepare_spare()
        while True:
            changed = await self._change_or_end(watcher)
            self._began = time.monotonic()
            if changed:
                names = ", ".join(sorted({path.name for path in changed})[:3])
                self.terminal.note(self.terminal.paint(f"{names} changed.", "dim"))
            elif not await self._has_ended():
                continue
            elif not self.reload:
                return 1
            watcher = await self._replace(changed, watcher)

    async def _has_ended(self) -> bool:
        """Report the end of the serving process; return whether another one may follow at once."""
        assert self.current is not None
        said = f"The server process ended with {self.current.ended}."
        self.terminal.bad(said)
        self.current = None
        if not self.reload or time.monotonic() - self._served > LEAST:
            return True
        self.terminal.note("Nothing is served until the next save.")
        await self._apologise([said])
        return False

    async def _change_or_end(self, watcher: Watcher) -> set[Path]:
        """Wait for changed files, or for the end of the serving process (then no files)."""
        waiting: list[asyncio.Task[Any]] = []
        if self.reload:
            waiting.append(asyncio.create_task(watcher.change()))
        if self.current is not None:
            waiting.append(asyncio.create_task(self.current.process.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            first = waiting[0]
            return first.result() if self.reload and first.done() else set()
        finally:
            for task in waiting:
                task.cancel()

    async def _replace(self, changed: set[Path], watcher: Watcher) -> Watcher:
        """Serve the changed code, if it can be imported; return the watcher to use from now on."""
        if self._concerns_preparation(changed):
            try:
                project = read(self.project.file)
                _ = project.env
                dependencies.require(project)
            except ProjectError as error:
                self._show({"messages": [str(error)]})
                return watcher
            self.project, watcher = project, self._watcher()
            await self._discard(self.spare)
            self.spare = None
        child = self.spare or await Child.start(self.listener, self.environ, self._modules)
        self.spare = None
        loaded = await child.load(first=False, host=self.host)
        if loaded["event"] != "loaded":
            await self._discard(child)
            self._show(loaded)
        elif more := watcher.changed():
            # What it has imported is no longer the newest.
            await self._discard(child)
            return await self._replace(changed | more, watcher)
        else:
            await self._switch(child, loaded, watcher)
        await self._prepare_spare()
        return watcher

    async def _switch(self, child: Child, loaded: Message, watcher: Watcher) -> None:
        """Drain the serving process, and let `child` serve."""
        if self.current is not None:
            await self.current.stop()
        self.current = child
        self._stop_apologising()
        served = await child.serve()
        if served["event"] == "serving":
            self._note(loaded, watcher)
            self.terminal.good(f"Reloaded in {time.monotonic() - self._began:.1f} s.")
            return
        await self._discard(child)
        self.current = None
        self._show(served)
        await self._apologise(served["messages"])

    def _note(self, loaded: Message, watcher: Watcher) -> None:
        self._modules, self._served = loaded["modules"], time.monotonic()
        watcher.also(map(Path, loaded["files"]))

    def _show(self, failed: Message) -> None:
        for message in failed["messages"]:
            self.terminal.bad(message)
        if self.current is not None and self.current.ended is None and self._began:
            self.terminal.note("The previous code is still served; the next save tries again.")
        elif self._began:
            self.terminal.note("Nothing is served until the next save.")

    async def _prepare_spare(self) -> None:
        if self.reload:
            self.spare = await Child.start(self.listener, self.environ, self._modules)

    async def _discard(self, child: Child | None) -> None:
        if child is not None:
            child.kill()
            await child.stop()

    def _watcher(self) -> Watcher:
        folders = [self.project.folder, *map(Path, dependencies.import_paths(self.project))]
        return Watcher(folders, self._preparation(), self.patterns)

    def _preparation(self) -> set[Path]:
        files = {self.project.file}
        if (env := self.project.env_file) is not None:
            files.add(env)
        return files | {
            folder / name
            for folder in (self.project.folder, *dependencies.folders(self.project))
            for name in PREPARED
        }

    def _concerns_preparation(self, changed: set[Path]) -> bool:
        return bool(changed & self._preparation())

    # --- while nothing can be served

    async def _apologise(self, messages: list[str]) -> None:
        """Answer every request with 503 and the reason, instead of letting clients wait."""
        body = json.dumps({"detail": " ".join(messages)}).encode()
        head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                await reader.readline()
                writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
                await writer.drain()
            writer.close()

        self._apology = await asyncio.start_server(answer, sock=self.listener.dup())

    def _stop_apologising(self) -> None:
        if self._apology is not None:
            self._apology.close()
            self._apology = None
