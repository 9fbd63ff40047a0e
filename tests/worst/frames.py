"""The worst messages of a websocket, each repeated. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.worst.requests import RUN
from tests.worst.shapes import SHAPES

#: Bytes of a message, a little below what a socket accepts; and how many are sent at once.
SIZE, TIMES = 1_000_000, 5
#: The parameters of a command in which the worst is tried.
PLACES = {
    "subscription.subscribe": ("channels", "namespaces", "depth", "since"),
    "subscription.unsubscribe": ("subscription_id",),
    "subscription.reconnect": ("last_event_id",),
    "run.start": ("input", "config", "metadata", "assistant_id"),
    "input.respond": ("interrupt_id", "response"),
    "state.get": ("checkpoint_id", "keys"),
    "state.listCheckpoints": ("before", "limit"),
    "state.fork": ("checkpoint_id",),
    "agent.getTree": ("run_id",),
}


def all_frames() -> Iterator[tuple[str, str]]:
    """The name of a case, and its message."""
    for shape, make in SHAPES.items():
        value = make(SIZE).decode()
        yield f"{shape} as a message", value
        for method, names in PLACES.items():
            for name in names:
                params = {**(RUN if method == "run.start" else {"channels": ["values"]}), name: "\x00"}
                frame = json.dumps({"id": 1, "method": method, "params": params})
                yield f"{shape} as {name} of {method}", frame.replace('"\\u0000"', value)
