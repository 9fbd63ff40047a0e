"""A share of what `make worst` tries, with another seed each time; and what was wrong once.

`WORST_SEED` draws the same share again, `WORST_SHARE` says how much of everything, `WORST_ONLY` is a pattern of names.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TypeVar

import pytest
from websockets.exceptions import ConnectionClosed

from tests.processes.harness import Process
from tests.processes.protocol import new_thread, socket
from tests.worst.frames import TIMES, all_frames
from tests.worst.requests import all_requests
from tests.worst.trying import SECONDS, TRIES, Trial, verdict
from tests.worst.watching import Seen, Wait, Watch

T = TypeVar("T")

#: Requests whose turn comes in the suite, and how long it may take.
SHARE, LONGEST = 0.02, 30.0
#: Names of those that were wrong once, which are always tried.
ONCE = re.compile(
    "|".join(
        [
            # 290,000 different names took 0.1 s to parse.
            r"^POST /threads/search: keys as extract, 8 MB",
            r"^PATCH /threads/{}: keys as all of it, 8 MB",
            # No text was too long for a condition by LIKE.
            r"^POST /assistants/count: hyphens as name, 8 MB",
            # A condition had as many values as the body.
            r"^POST /runs/crons/search: blocks as metadata, 0\.9 MB",
            # Characters were looked at one by one.
            r"^DELETE /store/items: full list as namespace, 8 MB",
            # A configuration was stored in five places.
            r"^POST /runs/wait: one strange message as context, 8 MB",
            # The log laid out a traceback with 4,000,000 lines.
            r"^POST /threads/{}/state: line ends as as_node, 8 MB",
            # Parameters were copied for an Auth file that was not there.
            r"^POST /threads/{}/commands: allowed keys as params, 8 MB",
            # Too many parameters were the server's error.
            r"^GET /threads/{}/history: limit again and again",
            r"^POST /runs/wait: (hyphens|one strange message|digits) as input, 8 MB",
            r"^POST /threads: keys as metadata, 8 MB",
            # Each of 4,000 targets was prepared for each of their tasks.
            r"^POST /threads/{}/runs: targets as command, 0\.9 MB",
            # Each row read the operand as a number, and SQLite looked for a long name at each character.
            r"^POST /store/items/search: (comparison|name) as filter",
            # A page had any number of bytes.
            r"^POST /store/items/search: largest as limit, 8 MB",
            # Each field of a path was made a text of its own.
            r"^PUT /store/items: (long path|fields) as index, 0\.9 MB",
            # A run's address had any number of namespaces.
            r"^POST /runs/wait: places as checkpoint, 8 MB",
            # Each value that no channel takes is a line in the log.
            r"^POST /runs/wait: (names|packets) as command, 0\.9 MB",
            # Only an input's messages were counted.
            r"^POST /threads/{}/state: small messages as values, 0\.9 MB",
            r"^POST /threads: small messages as supersteps, 0\.9 MB",
            r"^POST /runs/wait: sent messages as command, 0\.9 MB",
        ]
    )
)


def drawn(every: list[T], name_of: Callable[[T], str]) -> Iterator[T]:
    """Those that are always tried, and a share of the others."""
    only, share = os.environ.get("WORST_ONLY", ""), float(os.environ.get("WORST_SHARE", SHARE))
    if not only:
        yield from (each for each in every if ONCE.search(name_of(each)))
    left = [each for each in every if re.search(only, name_of(each))]
    seed = int(os.environ.get("WORST_SEED", random.randrange(10**9)))
    print(f"WORST_SEED={seed}")
    yield from random.Random(seed).sample(left, min(len(left), max(1, int(len(left) * share))))


@pytest.mark.timeout(7200)
def test_the_worst_of_each_route_keeps_nobody_else_waiting(process: Process) -> None:
    longest = float(os.environ.get("WORST_SECONDS", LONGEST))
    with Watch(process) as watch, closing(Trial(process, watch)) as trial:
        trial.rows.make_large()
        every = list(all_requests(trial.rows.send("GET", "/openapi.json")))
        assert len(every) > 5000
        assert sum(bool(ONCE.search(request.name)) for request in every) >= 25
        findings, began = [], time.monotonic()
        for finding in trial.judge(drawn(every, lambda request: request.name), until=began + longest):
            print(finding, flush=True)
            findings.append(str(finding))
    print(f"{trial.tried} requests in {time.monotonic() - began:.0f} s, {len(findings)} findings")
    assert process.alive
    assert not findings, "\n".join(findings)


@pytest.mark.timeout(7200)
def test_the_worst_messages_of_a_websocket_keep_nobody_else_waiting(process: Process) -> None:
    longest = float(os.environ.get("WORST_SECONDS", LONGEST)) / 2
    findings, began, tried = [], time.monotonic(), 0
    with Watch(process) as watch, closing(Trial(process, watch)) as trial:
        for name, frame in drawn(list(all_frames()), lambda each: each[0]):
            tried += 1
            send = partial(messages_sent, process, frame)
            said = trial.watched(send)
            for _ in range(TRIES - 1):
                said = trial.watched(send, again=True) if said else None
            if said:
                findings.append(f"{name}: {said}")
            if time.monotonic() > began + longest:
                break
    print(f"{tried} messages in {time.monotonic() - began:.0f} s, {len(findings)} findings")
    assert process.alive
    assert not findings, "\n".join(findings)


def messages_sent(process: Process, frame: str) -> tuple[int, int]:
    """Send a message several times at once; return 200 once all were answered, or the socket was closed."""
    received = 0
    with socket(process, new_thread()) as client:
        try:
            for _ in range(TIMES):
                client.connection.send(frame)
            for _ in range(TIMES):
                received += len(client.connection.recv(20))
        except ConnectionClosed:
            pass
    return 200, TIMES * len(frame) + received


def test_what_keeps_others_waiting_is_found() -> None:
    fine = Seen()
    assert verdict(fine, 200, size=0, ordinary=0.0) is None
    for name in ("loop", "database"):
        slow = Seen()
        setattr(slow, name, Wait(3 * SECONDS, 3 * SECONDS))
        assert verdict(slow, 200, size=0, ordinary=0.0) is not None
        # The machine is slow, not the server.
        assert verdict(slow, 200, size=0, ordinary=0.01) is None
        locked = Seen()
        setattr(locked, name, Wait(50 * SECONDS, 0.0))
        assert verdict(locked, 200, size=0, ordinary=0.0) is not None
    large = Seen()
    large.memory = 100 * 1024 * 1024
    assert verdict(large, 200, size=8 * 1024 * 1024, ordinary=0.0) is None
    assert verdict(large, 200, size=1024, ordinary=0.0) is not None
    assert verdict(fine, 500, size=0, ordinary=0.0) is not None
