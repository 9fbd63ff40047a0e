"""Edits of a thread's state by its user.

An edit is first prepared from the present state, as a `Draft` that is not visible. Then one
transaction locks the thread, checks that no run is in flight and that the epoch has not changed,
takes the next epoch, and writes the checkpoint, the thread's row and the edit's entry in the
thread's log. So a fenced writer cannot write beside it, and a crash leaves all of the edit or
nothing. Of two concurrent edits, the second is prepared again.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import OperationalError, transaction
from langgraph.types import StateUpdate

from runs import graphs
from runs.conf import settings
from runs.encoding import encode
from runs.exceptions import NotFound, RequestTooLarge, ThreadBusy
from runs.identity.auth_file.users import AuthUser
from runs.models import Run
from runs.process.current import current
from runs.protocols.errors import describe
from runs.requests.run import ContradictoryRequest, sanitised_metadata
from runs.states.openings import asking, open_for_thread
from threads import expiry
from threads.checkpoints import StorageFailed
from threads.checkpoints.drafts import Draft
from threads.checkpoints.opening import land
from threads.checkpoints.rows import Batch, StateTooLarge
from threads.db import clock
from threads.db.database import in_database
from threads.db.fields import Encoded
from threads.metadata import ensure_small
from threads.models import StateEdit, Thread
from threads.models.querysets import Principal
from threads.state.read import address, standing
from threads.texts import writing as texts
from threads.texts.content import content_of

logger = logging.getLogger(__name__)

#: How often an edit is tried while other writers are faster.
TRIES = 10
#: The metadata keys that the server and LangGraph set on checkpoints, which clients cannot set.
OF_CHECKPOINTS = frozenset(["source", "step", "parents", "writes", "checkpoint_map", "graph_id"])

Supersteps = Sequence[Sequence[StateUpdate]]
#: Values of channels by their names, from a graph with the draft as its saver, and the configuration of the update.
Change = Callable[[Any, Any], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An edit that is not committed yet."""

    #: The address of its checkpoint: `thread_id`, `checkpoint_ns`, `checkpoint_id`.
    place: dict[str, Any]
    batch: Batch
    #: The changes to the thread's row.
    changes: dict[str, Any]


async def update_state(
    thread_id: UUID, supersteps: Supersteps, *, principal: Principal, checkpoint: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Apply updates to a thread's state, at a checkpoint or the latest; return the new checkpoint's
    address.

    Raises:
        NotFound: No such thread, or checkpoint.
        ThreadBusy: A run of the thread is pending or running.
        ContradictoryRequest: The thread has no graph, or the graph does not take the updates.
    """
    for _ in range(TRIES):
        thread = await in_database(_editable, thread_id, principal=principal)
        prepared = await prepare(thread, supersteps, user=asking(principal), checkpoint=checkpoint)
        if await in_database(commit, thread, prepared):
            current().wakeups.tell(thread_id)
            return prepared.place
    raise ThreadBusy(f"Thread {thread_id} is being changed by others; try again.")


async def patch_metadata(
    thread_id: UUID,
    metadata: Mapping[str, Any],
    *,
    principal: Principal,
    checkpoint: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Add to the metadata of a checkpoint, or the latest; return its address.

    Raises like `update_state`, and MetadataTooLarge.
    """
    kept = {key: each for key, each in sanitised_metadata(metadata).items() if key not in OF_CHECKPOINTS}
    for _ in range(TRIES):
        thread = await in_database(_editable, thread_id, principal=principal)
        draft = Draft(current().storage, thread_id=thread.id, epoch=thread.epoch + 1)
        found = await draft.aget_tuple(address(thread, checkpoint))
        if found is None:
            raise NotFound("The thread has no such checkpoint.")
        place = found.config["configurable"]
        parent: Any = found.parent_config or {"configurable": {**place, "checkpoint_id": None}}
        described: Any = {**found.metadata, **kept}
        ensure_small(described, settings.EDIT_LIMIT)
        await draft.aput(parent, found.checkpoint, described, {})
        prepared = Prepared(dict(place), draft.batch, {})
        if await in_database(commit, thread, prepared):
            return prepared.place
    raise ThreadBusy(f"Thread {thread_id} is being changed by others; try again.")


def _editable(thread_id: UUID, *, principal: Principal) -> Thread:
    thread = Thread.objects.for_principal(principal).visible().filter(id=thread_id).first()
    if thread is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    refuse_busy(thread)
    return thread


def refuse_busy(thread: Thread) -> None:
    in_flight = Run.objects.in_flight().filter(thread=thread).order_by("due_at", "id")
    if run_ids := [str(run_id) for run_id in in_flight.values_list("id", flat=True)[:10]]:
        raise ThreadBusy(f"Thread {thread.id} has in-flight runs: {run_ids}")


async def begin(thread: Thread, supersteps: Supersteps, *, principal: Principal) -> Callable[[], None]:
    """Give a thread that is not saved yet the state that the updates make.

    Returns a function that writes the state, to be called in the transaction that inserts the
    thread.
    """
    prepared = await prepare(thread, supersteps, user=asking(principal), new=True)
    for name, value in {**prepared.changes, "epoch": thread.epoch + 1}.items():
        setattr(thread, name, value)

    def write() -> None:
        place = prepared.place["checkpoint_id"]
        StateEdit.objects.create(
            thread=thread, epoch=thread.epoch, checkpoint_id=place, created_at=thread.created_at
        )
        land(prepared.batch, file=settings.CHECKPOINTS_FILE)

    return write


async def prepare(
    thread: Thread,
    supersteps: Supersteps,
    *,
    user: AuthUser | None,
    checkpoint: Mapping[str, Any] | None = None,
    new: bool = False,
    change: Change | None = None,
) -> Prepared:
    """Apply updates to a draft of a thread's state, or for a new thread to an empty draft.

    Args:
        user: The user that makes the request, as the graph sees it.
        change: Decides on values of channels that are put in place of those of the updated state.
    """
    graph_id = thread.metadata.get("graph_id")
    if not graph_id:
        raise ContradictoryRequest(
            f"Thread '{thread.id}' has no assigned graph ID. This usually occurs when no runs have been made on this "
            "thread: set `graph_id` in its metadata, or run a graph on it first."
        )
    most = settings.EDIT_LIMIT
    if most and len(encode([[each.values for each in step] for step in supersteps]).encode()) > most:
        raise RequestTooLarge(f"An edit has at most {most} bytes as JSON.")
    storage, most = current().storage, settings.STATE_LIMIT
    draft = Draft(storage, thread_id=thread.id, epoch=thread.epoch + 1, empty=new, most=most)
    config = _config(thread, graph_id, checkpoint)
    if config["configurable"].get("checkpoint_id") and await draft.aget_tuple(config) is None:
        raise NotFound("The thread has no such checkpoint.")
    async with open_for_thread(graph_id, config, "threads.update", user) as graph:
        bound: Any = copy.copy(graph)
        bound.checkpointer = draft.with_allowlist(graphs.checkpoint_types(graph))
        if change is not None:
            draft.changes = await change(bound, config)
        try:
            saved = await bound.abulk_update_state(config, supersteps)
            now = await bound.aget_state(address(thread))
        except StateTooLarge as error:
            raise ContradictoryRequest(str(error)) from error
        except StorageFailed as error:
            raise OperationalError(str(error)) from error
        except Exception as error:
            # The update calls the graph's own code with the client's values: reducers, and the branches after
            # a node.
            logger.info("Thread %s: its state could not be updated.", thread.id, exc_info=True)
            raise ContradictoryRequest(describe(error)[0]["message"] or type(error).__name__) from error
    changes = standing(now)
    changes["values"] = Encoded(encode(changes["values"]))
    place = {key: saved["configurable"][key] for key in ("thread_id", "checkpoint_ns", "checkpoint_id")}
    return Prepared(place, draft.batch, changes)


def _config(thread: Thread, graph_id: str, checkpoint: Mapping[str, Any] | None) -> Any:
    """The configuration of an update. Its checkpoints name their thread, user and graph, but no
    run.
    """
    named = {
        key: thread.metadata[key] for key in ("assistant_id",) if isinstance(thread.metadata.get(key), str)
    }
    config = address(thread, {"checkpoint_ns": "", **(checkpoint or {})})
    config["metadata"] = {
        **named,
        "graph_id": graph_id,
        "thread_id": str(thread.id),
        "user_id": str(thread.user_id),
    }
    return config


def commit(thread: Thread, prepared: Prepared, *, then: Callable[[], object] = lambda: None) -> bool:
    """Commit an edit in one transaction; return False if another writer has changed the thread
    since it was read.

    Args:
        then: What else belongs to the transaction. If it raises, nothing of the edit is left.
    """
    content = content_of(prepared.changes["values"]) if prepared.changes else None
    with transaction.atomic():
        now = clock.now()
        found = Thread.objects.visible().filter(id=thread.id).locked().first()
        if found is None:
            raise NotFound(f"Thread with ID {thread.id} not found")
        refuse_busy(found)
        if found.epoch != thread.epoch:
            return False
        changes = {**prepared.changes, "epoch": found.epoch + 1, "updated_at": now}
        if prepared.changes:
            place = prepared.place["checkpoint_id"]
            StateEdit.objects.create(thread=found, epoch=found.epoch + 1, checkpoint_id=place, created_at=now)
            changes |= {"state_updated_at": now, **expiry.extended(found, now=now)}
        Thread.objects.filter(id=found.id).update(**changes)
        if content is not None:
            about = {"user_id": found.user_id, "metadata": found.metadata}
            texts.write([texts.text(found.id, **about, content=content)])
        land(prepared.batch, file=settings.CHECKPOINTS_FILE)
        then()
    return True
