"""How an attempt ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from runs.encoding import decode, encode
from runs.protocols.results import GONE, with_interrupts
from threads.db.fields import Encoded


class Stop(Enum):
    """Why a run was stopped from outside."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    DRAIN = "drain"
    #: The checkpoint storage failed permanently.
    STORAGE = "storage"
    #: This process's lease ran out. Other workers may take the run over, so it is requeued.
    LEASE = "lease"
    #: Another writer owns the thread; this process must not write any more.
    LOST = "lost"


class Ending(Enum):
    """How an attempt ended."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    ROLLED_BACK = "rolled back"
    #: Stopped by a shutdown; another process continues it.
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
    #: Whether a requeued run is charged a lost attempt. This bounds how often a recurring failure is retried.
    charged: bool = False
    #: {"error": class, "message": …}; what clients see.
    error: dict[str, str] | None = None
    #: The same, for operators.
    detail: dict[str, str] | None = None
    #: Where the error came from, for operators (`runs.protocols.errors.failure_of`).
    failure: dict[str, Any] | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    #: The same by model: {name: [input tokens, output tokens]}; None without any.
    usage: Mapping[str, list[int]] | None = None
    #: Events (name, JSON) that become visible with the commit of this outcome.
    events: Sequence[tuple[str, str]] = ()


def result_of(outcome: Outcome) -> str | None:
    """The JSON that `wait` and `join` return for an outcome; None if the outcome lacks part of the
    thread's state.
    """
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
