"""Server processes without the second of processor time that library imports cost each.

A process that has imported the libraries, and nothing of this project, waits beside the tests. For
each server it forks twice, and the fork behaves like an interpreter that was started with the same
arguments and environment. So a server is a separate process, adopted by the test process, which
kills, stops and waits for it like for any other.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

#: Libraries of the servers whose import neither reads the site's settings nor starts anything.
LIBRARIES = (
    "langgraph.graph.message",
    "langgraph.prebuilt",
    "langgraph.checkpoint.sqlite.aio",
    "langgraph.checkpoint.postgres.aio",
    "langchain_core.tracers.event_stream",
    "django.contrib.admin",
    "django.core.handlers.asgi",
    "django.core.management",
    "django.db.backends.sqlite3.base",
    "django.db.backends.postgresql.base",
    "autobahn.websocket.protocol",
    "channels.routing",
    "service_identity",
    "OpenSSL.SSL",
)
ROOT = Path(__file__).resolve().parents[2]
#: `prctl`: orphaned descendants of this process become its children.
PR_SET_CHILD_SUBREAPER = 36


class Child(Protocol):
    """A started process, with the interface of `subprocess`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


class Fork:
    """A forked server, which is a child of this process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        with self._lock:
            if self._code is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
            return self._code

    def wait(self, timeout: float | None = None) -> int:
        if (code := self.poll()) is not None:
            return code
        watched = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            poll.poll(None if timeout is None else timeout * 1000)
        finally:
            os.close(watched)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("a server", timeout or 0.0)
        return code

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forks:
    """The process that forks servers, started at the first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parent: subprocess.Popen[str] | None = None

    def spawn(self, command: list[str], *, env: dict[str, str], log: Path) -> Child:
        """Start `python *command` in the project's folder; its output goes to `log`."""
        with self._lock:
            if self._parent is None:
                self._parent = self._start(env)
            assert self._parent.stdin is not None and self._parent.stdout is not None
            request = {"command": command, "env": env, "log": str(log)}
            self._parent.stdin.write(json.dumps(request) + "\n")
            self._parent.stdin.flush()
            answer = self._parent.stdout.readline()
            assert answer, f"The process that forks servers ended with {self._parent.wait()}."
            return Fork(int(answer))

    def _start(self, env: dict[str, str]) -> subprocess.Popen[str]:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
        parent = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            env=env,  # any server's would do: the libraries do not read it
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._end, parent)
        return parent

    @staticmethod
    def _end(parent: subprocess.Popen[str]) -> None:
        with contextlib.suppress(OSError):
            parent.communicate()


forks = Forks()


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if (pid := fork()) is None:
            become(**request)
            return
        print(pid, flush=True)


def fork() -> int | None:
    """Fork a process that is no child of this one; return its id, or None within it."""
    reading, writing = os.pipe()
    middle = os.fork()
    if middle:
        os.close(writing)
        os.waitpid(middle, 0)
        with open(reading) as pipe:
            return int(pipe.read())
    os.close(reading)
    if pid := os.fork():
        os.write(writing, str(pid).encode())
        os._exit(0)
    os.close(writing)
    return None


def become(command: list[str], env: dict[str, str], log: str) -> None:
    """Behave like `python *command` in this environment.

    A return ends the process in the same way.
    """
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY | os.O_APPEND)):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process lives
    os.environ.clear()
    os.environ.update(env)
    gc.unfreeze()
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main()
