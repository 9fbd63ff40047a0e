"""Trying requests on a running server, and judging what others noticed of them."""

from __future__ import annotations

import http.client
import re
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

from tests.processes.harness import Process
from tests.worst.requests import Worst
from tests.worst.rows import Rows
from tests.worst.watching import Seen, Watch, connect, worked

#: For how long the server may work while others wait, in seconds, or in times of its work for an ordinary request where that
#: is more: about the same on a machine that does nothing else.
SECONDS, TIMES = 0.1, 100
#: How long others may wait in all, in times of that. No work is done while a lock is awaited.
WAITING = 20
#: By how much the process may grow, in times of what was sent and answered; and in bytes, for what allocators keep.
GROWTH, SLACK = 10, 48 * 1024 * 1024
#: Bytes of a list's page: `RUNS["PAGE_LIMIT"]`, and what is around its rows.
PAGE = 11 * 1024 * 1024
#: How long a request may take, runs that it starts included, and how long a stream is read, in seconds.
LONGEST, STREAMED = 20.0, 1.0
#: Paths of what waits for a run, which may not end.
WAITS = re.compile("stream|/join")
#: What exceeds a limit is tried again, so often: what a busy machine did, it does not do each time.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    request: Worst
    said: str

    def __str__(self) -> str:
        return f"{self.request.name}: {self.said}"


class Trial:
    """A server, its clients, and those who ask beside them."""

    def __init__(self, process: Process, watch: Watch) -> None:
        self._process, self._watch = process, watch
        self._connection, self._others = connect(process), connect(process)
        self.rows = Rows(self._others)
        self.tried = self._answered = 0

    def close(self) -> None:
        self._connection.close()
        self._others.close()

    def judge(self, requests: Iterable[Worst], *, until: float) -> Iterator[Finding]:
        """Try requests, one after the other, until a moment (monotonic)."""
        for request in requests:
            if time.monotonic() > until:
                return
            self.tried += 1
            if (said := self._exceeds(request)) is not None:
                yield Finding(request, said)

    def _exceeds(self, request: Worst) -> str | None:
        """What a request exceeds each time that it is sent; None if nothing."""

        def send() -> tuple[int, int]:
            status, self._answered = self._send(request, path, body)
            return status, len(body or b"") + self._answered

        body = request.body() if request.body is not None else None
        said = None
        for _ in range(TRIES):
            path = self.rows.named(request.path, request.method)
            said = self.watched(send, again=said is not None)
            if self._answered > PAGE:
                return f"it was answered with {self._answered >> 20} MB"
            if said is None:
                return None
        return said

    def watched(self, send: Callable[[], tuple[int, int]], *, again: bool = False) -> str | None:
        """What is exceeded while something is sent, which returns a status, and the bytes sent and received."""
        ordinary = self.ordinary() if again else 0.0
        with self._watch.over() as seen:
            status, size = send()
            self._settle()
        return verdict(seen, status, size=size, ordinary=ordinary)

    def ordinary(self) -> float:
        """How long the server works for an ordinary request now, in seconds; those that poll beside it included."""
        times = []
        for _ in range(9):
            had = worked(self._process)
            self.rows.send("POST", "/threads/search", {"limit": 1, "select": ["thread_id"]})
            times.append(worked(self._process) - had)
        return statistics.median(times)

    def _send(self, request: Worst, path: str, body: bytes | None) -> tuple[int, int]:
        """Return an answer's status, and bytes; 0 where the server ended the connection, -1 where it gave no answer."""
        try:
            if WAITS.search(request.path):
                return self._read_for_a_while(request, path, body)
            status, answer = self._connection.ask(request.method, path, body, request.headers)
            return status, len(answer)
        except (http.client.HTTPException, OSError) as error:
            return (0, 0) if not isinstance(error, TimeoutError) else (-1, 0)

    def _read_for_a_while(self, request: Worst, path: str, body: bytes | None) -> tuple[int, int]:
        size, deadline = 0, time.monotonic() + STREAMED
        with closing(connect(self._process, timeout=STREAMED)) as connection, suppress(TimeoutError):
            headers = {"Content-Type": "application/json", **request.headers}
            connection.request(request.method, path, body, headers)
            answer = connection.getresponse()
            while time.monotonic() < deadline and (chunk := answer.read1(1 << 16)):
                size += len(chunk)
            return answer.status, size
        return 0, size

    def _settle(self) -> None:
        """Wait until no run is executed, and none is due."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            queue = self.rows.send("GET", "/metrics?format=json")["queue"]
            if not queue["n_running"] and not queue["pending_runs_wait_time_max_secs"]:
                return
            time.sleep(0.01)


def verdict(seen: Seen, status: int, *, size: int, ordinary: float) -> str | None:
    """What exceeds its limit; None if nothing."""
    allowed = max(SECONDS, TIMES * ordinary)
    room = GROWTH * size + SLACK
    found = [
        f"others waited {wait.worked:.2f} s of work, {wait.taken:.2f} s in all, for {what} (at most {most:.2f} s)"
        for what, wait, most in (
            ("the event loop", seen.loop, allowed),
            # It waits for what is in the queue, several pieces of work of one request, and then for the event loop.
            ("a database thread", seen.database, 2 * allowed),
        )
        if wait.worked > most or wait.taken > most * WAITING
    ]
    if seen.memory > room:
        found.append(f"memory grew by {seen.memory >> 20} MB (at most {room >> 20} MB)")
    if seen.took > max(LONGEST, LONGEST * allowed / SECONDS):
        found.append(f"it took {seen.took:.1f} s")
    if status >= 500 or status < 0:
        found.append(f"it was answered with {status}")
    return f"{status}, " + ", ".join(found) if found else None
