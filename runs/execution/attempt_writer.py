"""The saver of one attempt. It knows what the attempt's graphs continue from, which
`runs.execution.loops` applies.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import TASKS
from langgraph.checkpoint.base import CheckpointTuple

from runs.conf import settings
from runs.execution.results import saved_writes
from runs.execution.resume import INTERRUPT, Resumption, executed_nodes
from runs.models import Run
from threads.checkpoints import ThreadWriter
from threads.checkpoints.storage import addressed
from threads.db.database import in_database
from threads.state.interrupts import asked_rows, read_asked
from threads.state.unanswered import waiting


class AttemptWriter(ThreadWriter):
    """The saver of one attempt; it also decides how the attempt's graphs begin."""

    resumption = Resumption(later=False)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._edits: set[str] = set()

    def edited(self, checkpoint_id: str) -> bool:
        """Whether a checkpoint that was read was made by an edit of the state."""
        return checkpoint_id in self._edits

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        found = await super().aget_tuple(config)
        if found and not self.is_ours(found) and (found.metadata or {}).get("source") == "update":
            self._edits.add(found.checkpoint["id"])
        place = config["configurable"]
        if found and self.resumption.before and place.get("checkpoint_ns") and not place.get("checkpoint_id"):
            found = found if self.is_ours(found) else await self._remembered(place)
        # Only a loop's step executes nodes. An input's step marks the nodes that it discards as seen.
        executed = found is not None and (found.metadata or {}).get("source") == "loop"
        if found is not None and executed and self.resumption.later and self.is_ours(found):
            parent = await super().aget_tuple(found.parent_config) if found.parent_config else None
            before: Any = parent.checkpoint if parent else {}
            sends = before["channel_values"].get(TASKS, ()) if before else ()
            nodes = executed_nodes(before, found.checkpoint, sends)
            self.resumption.executed[found.checkpoint["id"]] = nodes
        return found

    async def _remembered(self, place: dict[str, Any]) -> CheckpointTuple | None:
        """The newest checkpoint of a subgraph from before the checkpoint that the run continues
        from.
        """
        own: Any = {"configurable": {name: place[name] for name in ("thread_id", "checkpoint_ns")}}
        bound: Any = {"configurable": {"checkpoint_id": self.resumption.before}}
        async for found in self.alist(own, before=bound, limit=1):
            self.note(found)
            return found
        return None

    async def origin(self, checkpoint: Mapping[str, Any] | None) -> str | None:
        """The checkpoint before which the subgraphs of a replay are looked up; LangGraph's
        `ReplayState`.
        """
        named = checkpoint or {}
        in_subgraph = bool(named.get("checkpoint_ns"))
        checkpoint_id = (
            (named.get("checkpoint_map") or {}).get("") if in_subgraph else named.get("checkpoint_id")
        )
        if checkpoint_id is None:
            return None
        place: Any = {
            "configurable": {
                "thread_id": str(self._thread_id),
                "checkpoint_ns": "",
                "checkpoint_id": checkpoint_id,
            }
        }
        found = await super().aget_tuple(place)
        if found and found.parent_config and (found.metadata or {}).get("source") in ("update", "fork"):
            return str(found.parent_config["configurable"]["checkpoint_id"])
        return str(checkpoint_id)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if saved := saved_writes(writes):
            await super().aput_writes(config, saved, task_id, task_path)

    def asked_in(self, row: Sequence[Any]) -> list[str]:
        """The ids of the interrupts in a row of a snapshot."""
        asked = self.serde.loads_typed((row[6], base64.b64decode(row[7])))
        return [each.id for each in (asked if isinstance(asked, list | tuple) else [asked])]

    async def remove_leftovers(self, run: Run) -> None:
        """Remove what an interrupted attempt has left, before the run starts again from the
        beginning.
        """
        places = addressed(run.kwargs.get("checkpoint"))
        # It can be repeated: what is removed already is not there.
        await self.patiently(
            lambda: self._storage.remove_run(
                run.thread_id, run.id, epoch=run.epoch, writes=run.base, also=places
            )
        )

    async def withdraw_used_interrupts(self) -> None:
        """Remove the interrupts of tasks whose answers a subgraph below them has used."""
        rows, namespaces = await in_database(asked_rows, self._thread_id, file=settings.CHECKPOINTS_FILE)
        tasks, interrupts = read_asked(rows, self.serde)
        for task, ids in waiting(tasks, namespaces).items():
            if ids != task.ids:
                place = {"checkpoint_ns": task.namespace, "checkpoint_id": task.checkpoint_id}
                kept = [interrupts[each] for each in ids]
                await super().aput_writes(
                    {"configurable": place}, [(INTERRUPT, kept)], task.task_id, task.task_path
                )
