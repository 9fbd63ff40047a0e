"""How an attempt ended, apart from any database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from threads.fields import Encoded


class Stop(Enum):
    """Why a run was stopped from outside."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    DRAIN = "drain"
    #: The checkpoint storage failed for good.
    STORAGE = "storage"
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


@dataclass(slots=True)
class Outcome:
    """The end of an attempt and what it leaves on its thread.

    `values` None means unknown: the thread keeps what it has.
    """

    ending: Ending
    values: Encoded | None = None
    #: Names of the nodes that the graph would execute next.
    next: Sequence[str] = ()
    #: {task id: [{"id", "value"}]}
    interrupts: dict[str, Any] = field(default_factory=dict)
    #: {"error": class, "message": …}; what clients may read.
    error: dict[str, str] | None = None
    #: The same, for operators.
    detail: dict[str, str] | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    #: Events (name, JSON) that become visible with the commit of this outcome.
    events: list[tuple[str, str]] = field(default_factory=list)

    def thread_status(self, *, busy: bool) -> str:
        """The status of the thread after this run (reference: wire protocol §2.3)."""
        if busy:
            return "busy"
        if self.ending in (Ending.ERROR, Ending.TIMEOUT):
            return "error"
        return "interrupted" if self.next or self.interrupts else "idle"


#: Exceptions whose message clients may read; of any other they learn the class alone (wire protocol §3.1).
SHOWN = frozenset(
    [
        "ValueError",
        "TypeError",
        "KeyError",
        "AttributeError",
        "RuntimeError",
        "RecursionError",
        "GraphRecursionError",
        "TimeoutError",
        "InvalidUpdateError",
        "GraphBubbleUp",
        "EmptyInputError",
        "TaskNotFound",
        "HTTPException",
        "UserInterrupt",
        "UnknownInterruptError",
        "GraphNotFound",
        "GraphLoadError",
        "StorageFailed",
        "RunTimeout",
        "WorkerLost",
    ]
)


def describe(error: BaseException) -> tuple[dict[str, str], dict[str, str]]:
    """An exception as clients may read it, and as operators do."""
    name, message = type(error).__name__, str(error)
    shown = message if name in SHOWN else "An internal error occurred"
    return {"error": name, "message": shown}, {"error": name, "message": message}
