"""The monkey: a sequence of faults whose order and sizes are decided by its seed."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg

from tests.chaos.fleet import LEASE, Fleet, Member

#: All of them occur once, in a new order each time, before any repeats.
KINDS = (
    "kill", "kill", "term", "pause", "pause past the lease", "restart immediate", "restart fast",
    "end all backends", "end listeners", "end heartbeats", "partition", "cut connections",
)  # fmt: skip
#: Seconds between two faults.
GAP = (0.8, 3.2)
LISTENING = "query ILIKE 'listen%'"
HEARTBEATS = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
#: How long the database is down, in addition to its stop and start; and the length of a short partition.
DOWN, SHORT = 2.0, 4.0


@dataclass(frozen=True)
class Fault:
    #: Seconds after the previous fault.
    gap: float
    kind: str
    slot: int
    #: Between 0 and 1: its duration within the range of its kind.
    size: float


def faults(seed: int, slots: int, kinds: Sequence[str] = KINDS) -> Iterator[Fault]:
    """The faults of a seed, without end."""
    chance = random.Random(f"monkey/{seed}")
    while True:
        for kind in chance.sample(kinds, len(kinds)):
            yield Fault(chance.uniform(*GAP), kind, chance.randrange(slots), chance.random())


class Monkey(threading.Thread):
    """Injects faults until it is stopped; then it resumes and reconnects all processes."""

    def __init__(
        self, fleet: Fleet, seed: int, say: Callable[[str], None], kinds: Sequence[str] = KINDS
    ) -> None:
        super().__init__(name="monkey", daemon=True)
        self.counts: Counter[str] = Counter()
        #: (when, what), in seconds of the clock.
        self.history: list[tuple[float, str]] = []
        self.error: Exception | None = None
        self._fleet, self._say = fleet, say
        self._faults = faults(seed, len(fleet.members), kinds)
        self._ending = threading.Event()
        #: (when, what): the ends of lasting faults.
        self._later: list[tuple[float, Callable[[], None]]] = []

    def finish(self) -> None:
        """Stop, and end all lasting faults."""
        self._ending.set()
        self.join(60)
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        try:
            fault = next(self._faults)
            due = time.monotonic() + fault.gap
            while not self._ending.wait(0.05):
                self._settle(time.monotonic())
                self._fleet.look()
                if time.monotonic() >= due:
                    self._inject(fault)
                    fault = next(self._faults)
                    due = time.monotonic() + fault.gap
        except Exception as error:
            self.error = error
        finally:
            self._settle(float("inf"))

    def _settle(self, now: float) -> None:
        for each in [each for each in self._later if each[0] <= now]:
            self._later.remove(each)
            each[1]()

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, work))

    def _inject(self, fault: Fault) -> None:
        fleet = self._fleet
        slot = self._slot(fault.slot)
        size, began = fault.size, time.time()
        try:
            match fault.kind:
                case "kill":
                    fleet.kill(slot)
                case "term":
                    fleet.end(slot)
                case "pause":
                    self._pause(slot, 0.2 + size * (LEASE / 2))
                case "pause past the lease":
                    self._pause(slot, LEASE + 0.5 + size * 3)
                case "restart immediate":
                    fleet.restart_database("immediate", size * DOWN)
                case "restart fast":
                    fleet.restart_database("fast", size * DOWN)
                case "end all backends":
                    fleet.end_backends("true")
                case "end listeners":
                    fleet.end_backends(LISTENING)
                case "end heartbeats":
                    fleet.end_backends(HEARTBEATS)
                case "partition":
                    fleet.partition()
                    # Past the lease also means past the moment when other workers take its runs over. A
                    # process that is back just before that settles the runs as failed whose storage retries
                    # have ended.
                    lasts = SHORT * (0.25 + size) if size < 0.5 else LEASE + 2 + size * 2
                    self._after(lasts, lambda: fleet.heal(reset=size * 100 % 2 < 1))
                case "cut connections":
                    fleet.proxy.cut()
        except psycopg.OperationalError as error:
            # The previous fault has left the database unable to answer.
            self._say(f"{fault.kind}: {error}")
            return
        self.counts[fault.kind] += 1
        self.history.append((began, f"{fault.kind} {slot}"))
        self._say(f"{fault.kind} {slot} {size:.2f}")

    def _slot(self, wanted: int) -> int:
        """The slot itself, or the next one with a process that is not paused."""
        members = self._fleet.members
        slots = [(wanted + number) % len(members) for number in range(len(members))]
        return next((slot for slot in slots if not members[slot].paused), wanted)

    def _pause(self, slot: int, seconds: float) -> None:
        member: Member = self._fleet.pause(slot)
        self._after(seconds, lambda: self._fleet.resume(member))
