"""Edits of threads on their way from the main database into the checkpoints' file.

SQLite commits two files in WAL mode one after the other, so that a crash can leave one without the
other. Therefore an edit's rows are first part of the caller's transaction in the main database. After
its commit they are moved into the file. While they are on their way, whatever uses the thread's
checkpoints moves them first. What a crash has left is moved when the storage is opened.

Only one process executes runs and edits threads on SQLite, so that what is on its way is known in
its memory, and reading costs nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial
from pathlib import Path
from threading import Lock
from uuid import UUID

import ormsgpack
from django.db import transaction

from threads.checkpoints.rows import Batch
from threads.checkpoints.sqlite import statements
from threads.checkpoints.sqlite.statements import ADD, CHECKPOINT, REPLACE
from threads.db.database import in_database
from threads.models import Landing

logger = logging.getLogger(__name__)

#: The threads with rows on their way, each with a mark of its newest edit.
_waiting: dict[UUID, object] = {}
_lock = Lock()


def land(batch: Batch, file: Path) -> None:
    """Write an edit's rows, in the caller's transaction: they are in the file after its commit, or never."""
    for thread_id in batch.fences:
        groups = [
            [(str(key[0]), *key[1:], *values) for key, values in rows.items() if key[0] == thread_id]
            for rows in (batch.checkpoints, batch.replaced, batch.added)
        ]
        Landing.objects.create(thread_id=thread_id, rows=ormsgpack.packb(groups))
    _expect(batch.fences)
    transaction.on_commit(partial(_try_to_settle, list(batch.fences), file))


def settle(thread_ids: Collection[UUID], file: Path) -> None:
    """Move what is on its way for these threads into the file."""
    if _waiting.keys().isdisjoint(thread_ids):
        return
    # Repeating is harmless: whoever would change these rows in the file moves them first.
    with transaction.atomic():
        found = list(Landing.objects.filter(thread__in=thread_ids).select_for_update().order_by("id"))
        marks = {thread_id: _waiting.get(thread_id) for thread_id in thread_ids}
        if found:
            with statements.transaction(file) as db:
                for landing in found:
                    for query, rows in zip(
                        (CHECKPOINT, REPLACE, ADD), ormsgpack.unpackb(landing.rows), strict=True
                    ):
                        db.executemany(query, rows)
            Landing.objects.filter(id__in=[landing.pk for landing in found]).delete()
        transaction.on_commit(partial(_forget, marks))


async def settled(thread_ids: Collection[UUID], file: Path) -> None:
    """Like `settle`, from the event loop."""
    if not _waiting.keys().isdisjoint(thread_ids):
        await in_database(settle, thread_ids, file)


def recover(file: Path) -> None:
    """Move what a crash has left, before anything else uses the file."""
    left = set(Landing.objects.values_list("thread_id", flat=True))
    _expect(left)
    _try_to_settle(left, file)


def _try_to_settle(thread_ids: Collection[UUID], file: Path) -> None:
    try:
        settle(thread_ids, file)
    except Exception:
        # The edit is committed, and must not look like a failure. The threads' next use tries again.
        logger.exception("The checkpoints of %d edited threads are not in their file yet.", len(thread_ids))


def _expect(thread_ids: Collection[UUID]) -> None:
    with _lock:
        _waiting.update({thread_id: object() for thread_id in thread_ids})


def _forget(marks: dict[UUID, object | None]) -> None:
    with _lock:
        for thread_id, mark in marks.items():
            # Another mark is that of an edit that began after these rows were read.
            if _waiting.get(thread_id) is mark:
                _waiting.pop(thread_id, None)
