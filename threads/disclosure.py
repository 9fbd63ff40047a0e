"""Which error messages clients may read. Pure: no Django, no database."""

from __future__ import annotations

import re

from threads.db.values.plain import class_name
from threads.db.values.text import encodable
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
#: The text of an exception whose `__str__` raises, as tracebacks show it.
UNREADABLE = "<exception str() failed>"
#: Python's `repr` of an exception, which is what checkpoints store.
_SHOWN_AS = re.compile(r"(\w{1,200})\(")


def is_shown(error: BaseException) -> bool:
    """Whether clients may read the message of an exception."""
    return any(class_name(each) in SHOWN for each in type(error).__mro__)


def text_of(error: BaseException) -> str:
    """What an exception says; its class may raise another one instead."""
    try:
        return encodable(str(error))
    except Exception:
        return UNREADABLE


def repr_of(error: BaseException) -> str:
    """The `repr` of an exception, which is what checkpoints store."""
    try:
        return encodable(repr(error))
    except Exception:
        return f"{class_name(type(error))}({UNREADABLE!r})"


def shown_error(error: object) -> str:
    """A task's error as clients read it: from an exception, or from its text in a checkpoint."""
    if isinstance(error, BaseException):
        return redacted_text(repr_of(error)) if is_shown(error) else f"{class_name(type(error))}({HIDDEN!r})"
    text = str(error)
    found = _SHOWN_AS.match(text)
    if found is None:
        return HIDDEN
    return redacted_text(text) if found[1] in SHOWN else f"{found[1]}({HIDDEN!r})"
