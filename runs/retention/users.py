"""Deletes a user with everything that is theirs, in short transactions.

Django's own deletion of a user is one transaction, which on a large account holds its locks for
minutes. Here the user is deactivated first, so that nothing is added, and the row is deleted last. A
deletion that was cut off is continued by the sweep (`runs.retention.erasures`).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet

from runs.conf import settings
from runs.deletion import ROWS, THREADS, Step, all_remains, remove_threads, turn
from runs.exceptions import NotFound, ThreadLocked
from runs.identity.principals import Principal
from runs.lifecycle import cancellation
from runs.lifecycle.operators.operations import Operator
from runs.models import ApiKey, Assistant, AuthIdentity, Cron, Run, SavedView, WebhookDelivery
from runs.process.locks import bounded_locks
from runs.process.notifications import notify_after_commit
from runs.retention import erasures
from runs.retention.thread_deletion import hide
from threads.checkpoints.opening import open_pruning
from threads.db import clock
from threads.db.ids import UserId
from threads.models import StoreItem, Thread

logger = logging.getLogger(__name__)

#: How often threads that others have locked are tried again, the pause before, and the wait for a lock on other
#: rows, both in seconds.
TRIES, PAUSE, LOCK_WAIT = 20, 0.1, 5.0
#: The kinds of steps that a pass reports one by one.
REPORTED = frozenset(["events", "runs", "checkpoint_rows", "store_items", "webhooks", "users"])


def belongings(user_id: UserId) -> dict[str, int]:
    """How many rows of each kind are a user's."""
    return {name: rows.count() for name, rows in _rows(user_id).items()}


def _rows(user_id: UserId) -> dict[str, QuerySet[Any]]:
    models: dict[str, Any] = {
        "threads": Thread, "runs": Run, "store_items": StoreItem, "crons": Cron, "assistants": Assistant,
        "webhooks": WebhookDelivery, "api_keys": ApiKey, "identities": AuthIdentity,
        "saved_views": SavedView,
    }  # fmt: skip
    return {name: model.objects.filter(user=user_id) for name, model in models.items()}


def delete_user(user_id: UserId, by: Operator) -> Iterator[Step]:
    """Delete a user; each `next` is one transaction. The last step is `users`, except if the user was
    made active again meanwhile: nothing more is deleted then.

    The user's runs in flight end, and late writes of those are refused. What is left when it is cut
    off, or raises, is deleted by the sweep.

    Raises:
        ThreadLocked: Others keep threads locked.
    """
    erasures.begin(user_id, by)
    yield from _erased(user_id, ROWS)


def resumed(rows: int) -> Iterator[Step]:
    """Continue deletions that were cut off; each `next` is one transaction.

    An error in one is recorded, and does not keep the others from being continued.
    """
    for erasure in list(erasures.unfinished(clock.now())):
        if not erasures.taken(erasure):
            continue
        try:
            for kind, count in _erased(erasure.user_id, rows):
                yield kind if kind in REPORTED else "user_rows", count
        except Exception:
            logger.exception("The user with ID %s could not be deleted; it is retried.", erasure.user_id)
            yield "users_failed", 1


def _erased(user_id: UserId, rows: int) -> Iterator[Step]:
    """The steps of a deletion, which is on record."""
    deleted: Counter[str] = Counter()
    touched = time.monotonic()
    try:
        with transaction.atomic(), bounded_locks(LOCK_WAIT):
            wanted = erasures.stands(user_id)
        if not wanted:
            return
        for kind, count in _all_but_the_user(user_id, rows):
            deleted[kind] += count
            yield kind, count
            if time.monotonic() - touched >= erasures.TOUCH:
                if not erasures.touch(user_id):
                    return
                touched = time.monotonic()
        for kind, count in _the_user(user_id, deleted).items():
            yield kind, count
    except Exception as error:
        erasures.stopped_by(user_id, error)
        raise


def _all_but_the_user(user_id: UserId, rows: int) -> Iterator[Step]:
    of_user = _rows(user_id)
    # Crons and keys first, so that they create nothing more. Identities go with the user's row: without its
    # identity, a request of the user would create another user.
    for name in ("crons", "api_keys"):
        yield from _all_of(name, of_user[name], rows)
    yield from _threads(user_id, rows)
    yield from _runs_of_others_threads(of_user["runs"])
    yield from all_remains(rows=rows)
    for name in ("store_items", "webhooks", "saved_views"):
        yield from _all_of(name, of_user[name], rows)


def _the_user(user_id: UserId, deleted: Counter[str]) -> dict[str, int]:
    """Delete the user's row, with the few rows that are left; return the counts, none if the user was
    made active again.
    """
    model: Any = get_user_model()
    assistants = Assistant.objects.filter(user=user_id)
    with transaction.atomic(), bounded_locks(LOCK_WAIT):
        if not erasures.stands(user_id):
            return {}
        _hand_over(assistants)
        counted = {"assistants": assistants.count(), "users": 1}
        user = model._default_manager.get(pk=user_id)
        erasures.record(user, deleted + Counter(counted))
        # The rest, such as assistants with their versions, and the admin's log, goes with the row.
        user.delete()
    return counted


def _threads(user_id: UserId, rows: int) -> Iterator[Step]:
    pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
    mine = Thread.objects.filter(user=user_id)
    tries = TRIES
    while page := list(mine.order_by("id").values_list("id", flat=True)[:THREADS]):
        if not tries:
            raise ThreadLocked("Others keep some of the user's threads locked.")
        if tries < TRIES:
            time.sleep(PAUSE)
        hidden, removed = _hidden(page, user_id), 0
        for kind, count in remove_threads(hidden, pruning, rows=rows, kind="threads") if hidden else ():
            removed += count if kind == "threads" else 0
            yield kind, count
        tries = TRIES if removed else tries - 1


def _hidden(page: list[UUID], user_id: UserId) -> list[UUID]:
    """Hide threads of a user except those that others have locked; return all that are hidden."""
    hidden, stopped = hide(page, principal=Principal(user_id), wait=False)
    notify_after_commit([*stopped, *hidden])
    threads, now = Thread.objects.filter(id__in=page, user=user_id), clock.now()
    with transaction.atomic():
        # A hidden copy has a later time; it will not be completed.
        copies = threads.filter(discarded_at__gt=now).select_for_update(skip_locked=True)
        threads.filter(id__in=list(copies.values_list("id", flat=True))).update(discarded_at=now)
    return list(threads.filter(discarded_at__lte=now).values_list("id", flat=True))


def _runs_of_others_threads(runs: QuerySet[Run]) -> Iterator[Step]:
    """Delete runs on threads that others share with their user; the threads stay."""
    while page := list(runs.values_list("id", "thread")[:ROWS]):
        for run_id, thread_id in page:
            # A run that is gone was deleted with its thread meanwhile.
            with suppress(NotFound), transaction.atomic(), bounded_locks(LOCK_WAIT):
                cancellation.delete(run_id, thread_id=thread_id)
        notify_after_commit([each for ids in page for each in ids])
        yield "runs", len(page)


def _hand_over(assistants: QuerySet[Assistant]) -> None:
    """Give assistants that their user shared, and with which others have runs or crons, to one of those."""
    used: tuple[Any, ...] = (Run, Cron)
    for model in used:
        pairs = model.objects.filter(assistant__in=assistants).order_by("id").values_list("assistant", "user")
        for assistant_id, heir in dict(pairs).items():
            Assistant.objects.filter(id=assistant_id).update(user=heir)


def _all_of(name: str, rows: QuerySet[Any], most: int) -> Iterator[Step]:
    while ids := list(rows.values_list("pk", flat=True)[:most]):
        with turn():
            count, _ = rows.filter(pk__in=ids).delete()
        yield name, count
