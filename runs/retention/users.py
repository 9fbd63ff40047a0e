"""Deletes a user with everything that is theirs, in short transactions.

Django's own deletion of a user is one transaction, which on a large account holds its locks for
minutes. Here the user is deactivated first, so that nothing is added, and the row is deleted last, so
that a deletion that was cut off can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet

from runs.conf import settings
from runs.deletion import ROWS, THREADS, Step, all_remains, remove_threads, turn
from runs.identity.principals import Principal
from runs.lifecycle import cancellation
from runs.models import ApiKey, Assistant, AuthIdentity, Cron, Run, SavedView, WebhookDelivery
from runs.process.notifications import notify_after_commit
from runs.retention.thread_deletion import hide
from threads.checkpoints.opening import open_pruning
from threads.db import clock
from threads.db.ids import UserId
from threads.models import StoreItem, Thread

#: How often threads that others have locked are tried again.
TRIES = 20


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


def delete_user(user_id: UserId) -> Iterator[Step]:
    """Delete a user; each `next` is one transaction.

    Their runs in flight end, and late writes of those are refused. Raises RuntimeError if others keep
    threads locked; repeat it then.
    """
    model: Any = get_user_model()
    users = model._default_manager.filter(pk=user_id)
    users.update(is_active=False)
    rows = _rows(user_id)
    # Crons and keys first, so that they create nothing more.
    for name in ("crons", "api_keys", "identities"):
        yield from _all_of(name, rows[name])
    yield from _threads(user_id)
    yield from _runs_of_others_threads(rows["runs"])
    yield from all_remains(rows=ROWS)
    for name in ("store_items", "webhooks", "saved_views"):
        yield from _all_of(name, rows[name])
    with transaction.atomic():
        _hand_over(rows["assistants"])
        # The rest, such as assistants with their versions, and the admin's log, goes with the row.
        assistants = rows["assistants"].count()
        for user in users:
            user.delete()
    yield "assistants", assistants
    yield "users", 1


def _threads(user_id: UserId) -> Iterator[Step]:
    pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
    mine = Thread.objects.filter(user=user_id)
    tries = TRIES
    while page := list(mine.order_by("id").values_list("id", flat=True)[:THREADS]):
        if not tries:
            raise RuntimeError("Some of the user's threads are locked by others.")
        hidden, stopped = hide(page, principal=Principal(user_id))
        notify_after_commit([*stopped, *hidden])
        # A hidden copy has a later time; it will not be completed.
        mine.filter(id__in=page, discarded_at__gt=clock.now()).update(discarded_at=clock.now())
        removed = 0
        for kind, count in remove_threads(page, pruning, rows=ROWS, kind="threads"):
            removed += count if kind == "threads" else 0
            yield kind, count
        tries = TRIES if removed else tries - 1


def _runs_of_others_threads(runs: QuerySet[Run]) -> Iterator[Step]:
    """Delete runs on threads that others share with their user; the threads stay."""
    while page := list(runs.values_list("id", "thread")[:ROWS]):
        for run_id, thread_id in page:
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


def _all_of(name: str, rows: QuerySet[Any]) -> Iterator[Step]:
    while ids := list(rows.values_list("pk", flat=True)[:ROWS]):
        with turn():
            count, _ = rows.filter(pk__in=ids).delete()
        yield name, count
