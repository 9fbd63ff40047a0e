"""The checkpoint at which a step of a run began, from the run's log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from runs.encoding import decode
from runs.events import table
from runs.exceptions import InvalidRequest, NotFound
from runs.protocols.agent.items import PACK, checkpoint

#: The most characters of a log that are read for it.
MOST_READ = 64 * 1024 * 1024
#: What triggers a step that another step sent its own input, which is in no channel of the state.
SENT = "__pregel_push"


def checkpoint_before(run_id: UUID, task_id: str) -> str:
    """The id of the checkpoint of the root graph at which a step began.

    Raises NotFound if the log does not have it (any more), and InvalidRequest if the step does not
    read the state: it was sent its input, or is one of a subgraph.
    """
    last = None
    for mode, namespace, data in _items(run_id):
        if mode == "checkpoints" and not namespace:
            last = data["id"]
        elif mode == "tasks" and data.get("id") == task_id:
            if namespace:
                raise InvalidRequest("This step is in a subgraph: run the subgraph's own step again.")
            if SENT in (data.get("triggers") or ()):
                raise InvalidRequest("Another step sent this one its input: run that step again.")
            if last is not None:
                return str(last)
            break
    raise NotFound("The log of this run does not say at which checkpoint this step began.")


def _items(run_id: UUID) -> Iterator[tuple[str, list[str], Any]]:
    """The checkpoints and tasks of a log, in their order: (mode, namespace, data)."""
    after, read = table.START, 0
    while read < MOST_READ and (batch := table.read(run_id, after)):
        for event in batch:
            mode, *namespace = event.name.split("|")
            if mode == PACK:
                for each, where, _, data in decode(event.data):
                    if each in ("checkpoints", "tasks"):
                        yield each, where, data
            elif mode == "tasks":
                yield mode, namespace, decode(event.data)
            elif mode == "checkpoints" and (found := checkpoint(decode(event.data))) is not None:
                yield mode, namespace, found
            read += len(event.data)
        after = batch[-1].position
