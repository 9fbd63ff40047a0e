"""Protocol events: their numbers, their channels, and their form on the wire. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from runs.encoding import encode

Namespace = tuple[str, ...]

#: The bits of a number within its epoch. An epoch belongs to one attempt of one run of a thread, and epochs
#: only grow. So an event's number is the same for all readers, does not depend on deletions, and fits
#: JavaScript (2**53).
EPOCH_BITS = 32
#: The first number within an epoch for runs that ended while they waited; the attempt has the numbers below.
WAITING = 1 << 31


@dataclass(slots=True)
class ProtocolEvent:
    """One event of a thread, in the form for clients of the protocol."""

    event_id: str
    method: str
    namespace: Namespace
    #: Milliseconds.
    timestamp: int
    #: JSON.
    data: str
    node: str | None = None
    #: The name of a custom event, if it has one.
    name: str | None = None
    #: Whether a client may stop reading after it: an interrupt, or the end of a run.
    ends: bool = False
    #: Increases along the thread.
    seq: int = 0

    @property
    def channel(self) -> str:
        if self.method == "input.requested":
            return "input"
        return f"custom:{self.name}" if self.name is not None else self.method

    def json(self) -> str:
        node = f',"node":{encode(self.node)}' if self.node is not None else ""
        return (
            f'{{"type":"event","event_id":{encode(self.event_id)},"seq":{self.seq},"method":"{self.method}",'
            f'"params":{{"namespace":{encode(self.namespace)},"timestamp":{self.timestamp},"data":{self.data}{node}}}}}'
        )


def first_of(epoch: int) -> int:
    """The number before the first one of an epoch. A thread's first attempt counts from 1."""
    return max(epoch - 1, 0) << EPOCH_BITS


def last_of(epoch: int) -> int:
    """The greatest number of an epoch; every event of a later epoch exceeds it."""
    return epoch << EPOCH_BITS


def epoch_of(seq: int) -> int:
    """The epoch that a number belongs to."""
    return (seq >> EPOCH_BITS) + 1
