"""How an attempt ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from runs.protocols.results import GONE, with_interrupts
from runs.serialization import decode, encode
from threads.db.fields import Encoded


class Stop(Enum):
    """Why a run was stopped from outside."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    DRAIN = "drain"
    #: The checkpoint storage failed for good.
    STORAGE = "storage"
    #: This process's lease ran out: others may take the run over, and it is handed back to them.
    LEASE = "lease"
    #: Another writer has the thread; nothing more may be written.
    LOST = "lost"


class Ending(Enum):
    """What an attempt came to."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    ROLLED_BACK = "rolled back"
    #: Stopped by a shutdown; goes on in another process.
    DRAINED = "drained"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt and what it leaves on its thread.

    `values` or `interrupts` None means unknown: the thread keeps what it has.
    """

    ending: Ending
    values: Encoded | None = None
    #: Names of the nodes that the graph would execute next.
    next: Sequence[str] = ()
    #: {task id: [{"id", "value"}]}
    interrupts: Mapping[str, Any] | None = field(default_factory=dict)
    #: Whether a run that goes on has lost an attempt; so that what ends it each time ends it for good at last.
    charged: bool = False
    #: {"error": class, "message": …}; what clients may read.
    error: dict[str, str] | None = None
    #: The same, for operators.
    detail: dict[str, str] | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    #: Events (name, JSON) that become visible with the commit of this outcome.
    events: Sequence[tuple[str, str]] = ()


def result_of(outcome: Outcome) -> str | None:
    """The JSON that `wait` and `join` answer for an outcome; None if it does not say all that the thread has."""
    if outcome.ending is Ending.ROLLED_BACK:
        return encode(GONE)
    if outcome.error is not None:
        return encode({"__error__": outcome.error})
    if outcome.values is None or outcome.ending is Ending.DRAINED:
        return None
    return (
        encode(with_interrupts(decode(outcome.values), outcome.interrupts))
        if outcome.interrupts
        else outcome.values
    )
