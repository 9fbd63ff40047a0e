"""Which of a task's writes are saved. Pure: no Django, no database.

When a task fails or is cancelled, LangGraph commits what it has written so far, and the next
attempt takes these writes as the task's result (1.2.22; docs/reference/upstream.md). Here a task
that did not finish has no result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from threads.disclosure import repr_of

#: LangGraph's names (`langgraph._internal._constants`).
ERROR, ERROR_SOURCE_NODE, RESUME = "__error__", "__error_source_node__", "__resume__"


def saved_writes(writes: Sequence[tuple[str, Any]]) -> Sequence[tuple[str, Any]]:
    """Return the writes that a task leaves with its checkpoint.

    | the task | what is saved |
    |---|---|
    | finished, or raised an interrupt | all of them |
    | was cancelled | nothing: it is executed again, and gets the answers that it took again |
    | failed | its error and the answers that it took: an attempt without input gives it the same answers |
    | failed, and its error handler continues | all of them |

    An exception that cannot be stored is replaced by its text.
    """
    errors = [value for channel, value in writes if channel == ERROR]
    if not errors:
        return writes
    if any(isinstance(error, asyncio.CancelledError) for error in errors):
        return ()
    writes = [(channel, _storable(value) if channel == ERROR else value) for channel, value in writes]
    if any(channel == ERROR_SOURCE_NODE for channel, _ in writes):
        return writes
    return [write for write in writes if write[0] in (ERROR, RESUME)]


def _storable(error: Any) -> Any:
    """An error; or its text, if LangGraph cannot store its `repr`."""
    try:
        repr(error).encode()
    except Exception:
        return repr_of(error)
    return error
