"""Servers as subprocesses, whose output is awaited line by line."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OURS = ("-m", "tests.runs.server.dummy_server")
UVICORN = ("-m", "uvicorn", "--port", "0", "--lifespan", "on", "tests.runs.server.dummy_asgi:application")
DAPHNE = ("-m", "daphne", "-p", "0", "tests.runs.server.dummy_asgi:application")


class Process:
    def __init__(self, *arguments: str, **environment: str) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.runs.server.dummy_settings",
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # A grandchild may outlive the process and keep its output open, which must not delay the tests' end.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    def expect(self, pattern: str, *, timeout: float = 30) -> re.Match[str]:
        """Wait for `pattern` in the output, from its beginning."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := re.search(pattern, self.output, re.MULTILINE)) is None:
                left = deadline - time.monotonic()
                ended = self._process.poll() is not None and not self._reader.is_alive()
                if ended or (not self._changed.wait(min(left, 0.5)) and left <= 0):
                    raise AssertionError(f"No {pattern!r} in the output:\n{self.output}")
        return found

    @property
    def port(self) -> int:
        return int(self.expect(r"(?:Listening|running) on.*127\.0\.0\.1:(\d+)")[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def websocket_url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def wait(self, *, timeout: float = 20) -> int:
        """The exit code, once all output has arrived."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The process did not end:\n{self.output}") from None
        self._reader.join(5)
        return code

    def stop(self) -> int:
        self.signal()
        return self.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        if not self._reader.is_alive():
            self._process.stdout.close()


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[Process]:
    process = Process(*(arguments or OURS), **environment)
    try:
        yield process
    finally:
        process.close()
