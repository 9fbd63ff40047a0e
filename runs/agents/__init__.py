"""Agents for a site's own code: start, follow, answer and cancel runs as a user of the site.

    from runs import agents

    with transaction.atomic():
        order.save()
        run = agents.start("agent", {"order": order.pk}, user=request.user)

The run exists exactly if the transaction commits. Each function has an asynchronous form, whose name
begins with "a" (that of `wait` is `await_result`); those that write have transactions of their own.
docs/reference/python_api.md has more.
"""

from runs.agents.new_threads import acreate_thread, create_thread
from runs.agents.reading import (
    Result,
    StreamPart,
    ThreadState,
    astate,
    astream,
    await_result,
    state,
    stream,
    wait,
)
from runs.agents.types import Options, Started
from runs.agents.writing import (
    aanswer,
    acancel,
    answer,
    astart,
    cancel,
    start,
)

__all__ = [
    "Options",
    "Result",
    "Started",
    "StreamPart",
    "ThreadState",
    "aanswer",
    "acancel",
    "acreate_thread",
    "answer",
    "astart",
    "astate",
    "astream",
    "await_result",
    "cancel",
    "create_thread",
    "start",
    "state",
    "stream",
    "wait",
]
