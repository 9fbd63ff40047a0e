"""Copies a thread with all its checkpoints to a new thread.

The new thread is created hidden, filled in short transactions, and shown when it is complete. After
a crash in between, the hidden thread is left, and the sweep removes it. The copy starts with an epoch, as every thread with
checkpoints does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from runs.conf import settings
from runs.deletion import in_turns, turn
from runs.encoding import encode
from runs.exceptions import NotFound, RequestTooLarge, ThreadBusy
from runs.requests.idempotency import Once
from runs.states.reads import readable_by
from threads.checkpoints.copies import Part, SourceChanged, pages
from threads.checkpoints.opening import copy_parts, parts_of
from threads.db import clock
from threads.db.database import in_database
from threads.db.fields import Encoded
from threads.db.ids import new_id
from threads.db.time_limits import time_limit
from threads.metadata import ensure_small
from threads.models import Thread
from threads.models.querysets import Principal
from threads.state.read import address, standing
from threads.texts.writing import write_of

logger = logging.getLogger(__name__)

#: How long an unfinished copy stays hidden before the sweep removes it as abandoned.
HIDDEN_FOR = timedelta(hours=1)


async def copy_thread(
    thread_id: UUID,
    *,
    metadata: Mapping[str, Any] | None = None,
    principal: Principal,
    once: Once | None = None,
) -> Thread:
    """Copy a thread, its metadata and its checkpoints; its runs stay its own.

    Args:
        metadata: Additional metadata of the copy.
        once: The client's key; a copy that it has created before is returned instead.

    Raises:
        NotFound: No such thread, or it was deleted meanwhile.
        RequestTooLarge: The thread's checkpoints are larger than `COPY_LIMIT`.
        ThreadBusy: Checkpoints were deleted while they were copied.
        QueryTooSlow: The thread has too many checkpoints to list.
        KeyReused, CreationDeleted: The key cannot be used.
    """
    mine = Thread.objects.for_principal(principal).visible()
    if once is not None and (found := await in_database(once.found, mine)):
        return found[0]
    copy = await in_database(_hidden_copy, thread_id, metadata or {}, principal=principal)
    try:
        await _fill(thread_id, copy.id)
    except Exception:
        await in_database(_abandon, copy.id)
        raise
    changes = await _standing(copy, principal)
    return await in_database(_show, copy.id, changes, once=once, mine=mine)


def _hidden_copy(thread_id: UUID, metadata: Mapping[str, Any], *, principal: Principal) -> Thread:
    source = Thread.objects.for_principal(principal).visible().filter(id=thread_id).first()
    if source is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    described = {**source.metadata, **metadata}
    ensure_small(described, settings.EDIT_LIMIT)
    now = clock.now()
    lives = {}
    if source.ttl_minutes is not None:
        lives = {
            "ttl_minutes": source.ttl_minutes,
            "ttl_strategy": source.ttl_strategy,
            "expires_at": now + timedelta(minutes=source.ttl_minutes),
        }
    return Thread.objects.create(
        id=new_id(),
        user_id=principal.user_id,
        metadata=described,
        config=source.config,
        status=source.resting_status,
        resting_status=source.resting_status,
        values=source.values,
        interrupts=source.interrupts,
        error=source.error,
        stale_since=source.stale_since,
        refreshes=source.refreshes,
        epoch=min(source.epoch, 1),
        created_at=now,
        updated_at=now,
        state_updated_at=now,
        discarded_at=now + HIDDEN_FOR,
        **lives,
    )


async def _fill(source: UUID, target: UUID) -> None:
    with time_limit():
        parts = await in_database(parts_of, source, file=settings.CHECKPOINTS_FILE)
    most = settings.COPY_LIMIT
    if most and sum(part.bytes for part in parts) > most:
        raise RequestTooLarge(f"A thread can be copied if its checkpoints have at most {most} bytes.")
    try:
        await in_turns(_copied(source, target, parts))
    except SourceChanged:
        raise ThreadBusy(f"Thread {source} is being changed by others; try again.") from None


def _copied(source: UUID, target: UUID, parts: list[Part]) -> Iterator[int]:
    """Copy page by page; each `next` is one transaction, and copies as many parts as it says."""
    for page in [*pages(parts)] or [[]]:
        with turn():
            if not Thread.objects.filter(id=target, discarded_at__isnull=False).locked().exists():
                raise NotFound
            if page:
                copy_parts(source, target, page, file=settings.CHECKPOINTS_FILE)
            # If the removal of the source had begun before, the source is no longer visible now.
            if not Thread.objects.visible().filter(id=source).exists():
                raise NotFound(f"Thread with ID {source} not found")
        yield len(page)


def _abandon(copy: UUID) -> None:
    """Leave an incomplete copy to the next sweep."""
    Thread.objects.filter(id=copy, discarded_at__isnull=False).update(discarded_at=clock.now())


async def _standing(copy: Thread, principal: Principal) -> dict[str, Any]:
    """The state columns of the copy's row, read again because a run may have changed the source
    since its row was read.
    """
    graph_id = copy.metadata.get("graph_id")
    if not graph_id or not copy.epoch:
        return {}
    try:
        async with readable_by(principal)(graph_id, address(copy)) as graph:
            changes = standing(await graph.aget_state(address(copy)))
    except Exception:
        logger.warning("Thread %s is a copy whose state could not be read.", copy.id, exc_info=True)
        return {}
    return {**changes, "values": Encoded(encode(changes["values"]))}


@transaction.atomic
def _show(thread_id: UUID, changes: dict[str, Any], *, once: Once | None, mine: QuerySet[Thread]) -> Thread:
    # A concurrent copy with the same key leaves this one hidden, and the sweep removes it.
    if once is not None and (found := once.taken(mine)):
        return found[0]
    now = clock.now()
    shown = Thread.objects.filter(id=thread_id, discarded_at__gt=now).update(discarded_at=None, **changes)
    if not shown:
        raise NotFound
    if once is not None:
        once.record([thread_id])
    thread = Thread.objects.get(id=thread_id)
    write_of([thread])
    return thread
