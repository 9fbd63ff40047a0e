"""What others notice of a request: how long the event loop and the database's thread keep them waiting, and the memory."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.processes.harness import Process

#: Seconds between two questions of a poll.
INTERVAL = 0.005


class Connection(http.client.HTTPConnection):
    """One that sends at once, and reads whole answers."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return an answer's status and body; the connection may be used again."""
        try:
            self.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = self.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError):
            self.close()
            raise


def connect(process: Process, timeout: float = 60) -> Connection:
    return Connection("127.0.0.1", int(process.url.rpartition(":")[2]), timeout=timeout)


def worked(process: Process) -> float:
    """For how long a process has had a processor, all of its threads together, in seconds."""
    # The clock of another process (clock_getcpuclockid(3)).
    return time.clock_gettime((~process.pid << 3) | 2)


@dataclass(slots=True)
class Wait:
    """How long an answer took, in seconds; and for how much of it the server worked.

    The second is what to judge by: on a busy machine, the server waits for its turn too.
    """

    taken: float = 0.0
    worked: float = 0.0

    def longest(self, other: Wait) -> Wait:
        return Wait(max(self.taken, other.taken), max(self.worked, other.worked))


class Poll(threading.Thread):
    """Asks one path on and on, and keeps the longest time that it waited."""

    def __init__(self, process: Process, path: str) -> None:
        super().__init__(daemon=True)
        self._process, self._connection, self._path = process, connect(process), path
        self._over = threading.Event()
        self._asking = False
        #: The longest wait since this was last replaced.
        self.longest = Wait()

    def run(self) -> None:
        while not self._over.wait(INTERVAL):
            self._asking = True
            try:
                self.longest = self.longest.longest(self._wait())
            except (http.client.HTTPException, OSError):
                self._connection.close()
            self._asking = False

    def _wait(self) -> Wait:
        began, had = time.monotonic(), worked(self._process)
        self._connection.ask("GET", self._path)
        taken = time.monotonic() - began
        return Wait(taken, min(taken, worked(self._process) - had))

    def settled(self) -> Wait:
        """The longest wait, that of the question under way included, once it is answered."""
        while self._asking and self.is_alive():
            time.sleep(0.001)
        return self.longest

    def end(self) -> None:
        self._over.set()
        self.join(5)
        self._connection.close()


class Watch:
    """Asks a server beside what is tried on it. `/ok` waits for the event loop; with `check_db`, for a database thread too."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._loop, self._database = Poll(process, "/ok"), Poll(process, "/ok?check_db=true")

    def __enter__(self) -> Watch:
        self._loop.start()
        self._database.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.end()
        self._database.end()

    @contextmanager
    def over(self) -> Iterator[Seen]:
        """What is seen while the block is executed."""
        seen = Seen()
        before = self._memory("VmRSS", reset=True)
        self._loop.longest, self._database.longest = Wait(), Wait()
        began = time.monotonic()
        yield seen
        seen.took = time.monotonic() - began
        seen.loop, seen.database = self._loop.settled(), self._database.settled()
        seen.memory = max(0, self._memory("VmHWM") - before)

    def _memory(self, name: str, *, reset: bool = False) -> int:
        """Bytes that the process has in memory (VmRSS), or had at most since the last reset (VmHWM)."""
        folder = Path(f"/proc/{self._process.pid}")
        if reset:
            (folder / "clear_refs").write_text("5")
        [line] = [line for line in (folder / "status").read_text().splitlines() if line.startswith(name)]
        return int(line.split()[1]) * 1024


class Seen:
    """How long others waited for the event loop and for a database thread, and bytes by which the process grew."""

    def __init__(self) -> None:
        self.loop, self.database = Wait(), Wait()
        self.took = 0.0
        self.memory = 0
