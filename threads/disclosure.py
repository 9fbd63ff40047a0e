"""Which errors' texts clients may read. Pure: no Django, no database."""

from __future__ import annotations

import re

from threads.redaction import redacted_text

#: Exceptions whose message clients may read, and those that are derived from them; of any other they learn the class
#: alone (reference: wire protocol §3.1, which goes by `isinstance`).
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
    ]
)
HIDDEN = "An internal error occurred"
#: How Python shows an exception, which is how checkpoints keep one.
_SHOWN_AS = re.compile(r"(\w{1,200})\(")


def is_shown(error: BaseException) -> bool:
    """Whether clients may read the message of an exception."""
    return any(each.__name__ in SHOWN for each in type(error).__mro__)


def shown_error(error: object) -> str:
    """An error of a task as clients read it: an exception, or the text that a checkpoint has of one."""
    if isinstance(error, BaseException):
        return redacted_text(repr(error)) if is_shown(error) else f"{type(error).__name__}({HIDDEN!r})"
    text = str(error)
    found = _SHOWN_AS.match(text)
    if found is None:
        return HIDDEN
    return redacted_text(text) if found[1] in SHOWN else f"{found[1]}({HIDDEN!r})"
