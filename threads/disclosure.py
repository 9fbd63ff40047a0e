"""Which error messages clients may read. Pure: no Django, no database."""

from __future__ import annotations

import re

from threads.redaction import redacted_text

#: Exceptions whose messages clients may read, subclasses included; of any other, clients see only the class
#: (reference: wire protocol §3.1, which goes by `isinstance`).
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
        "StorageUnavailable",
        "StateTooLarge",
        "RunTooLarge",
        "RunTimeout",
        "WorkerLost",
        "NodeGone",
        "ResultRefused",
    ]
)
HIDDEN = "An internal error occurred"
#: Python's `repr` of an exception, which is what checkpoints store.
_SHOWN_AS = re.compile(r"(\w{1,200})\(")


def is_shown(error: BaseException) -> bool:
    """Whether clients may read the message of an exception."""
    return any(each.__name__ in SHOWN for each in type(error).__mro__)


def shown_error(error: object) -> str:
    """A task's error as clients read it: from an exception, or from its text in a checkpoint."""
    if isinstance(error, BaseException):
        return redacted_text(repr(error)) if is_shown(error) else f"{type(error).__name__}({HIDDEN!r})"
    text = str(error)
    found = _SHOWN_AS.match(text)
    if found is None:
        return HIDDEN
    return redacted_text(text) if found[1] in SHOWN else f"{found[1]}({HIDDEN!r})"
