"""The record of a user's deletion, by which the sweep continues one that was cut off."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from runs.lifecycle.operators.operations import Operator
from runs.models import Erasure
from threads.db import clock
from threads.db.ids import UserId
from threads.db.values.plain import class_name
from threads.db.values.text import storable
from threads.disclosure import text_of

logger = logging.getLogger(__name__)

#: How often a deletion in progress says so, and after which silence it counts as cut off, in seconds.
TOUCH, CUT_OFF = 5.0, 60.0
#: `LogEntry.action_flag` of a deletion. The admin may not be installed, so its models are not imported.
DELETION = 3


def begin(user_id: UserId, by: Operator) -> None:
    """Deactivate a user, and record who asked that they are deleted; of several, the first."""
    with transaction.atomic():
        active = _users(user_id).select_for_update(no_key=True).values_list("is_active", flat=True).first()
        if active is None:
            return
        if active:
            # A row from before the user was made active again is about another deletion.
            Erasure.objects.filter(user=user_id).delete()
            _users(user_id).update(is_active=False)
        now = clock.now()
        details = {"by_id": by.user_id, "who": by.name[:255], "origin": by.origin, "asked_at": now}
        row, made = Erasure.objects.get_or_create(user_id=user_id, defaults={**details, "touched_at": now})
        if not made:
            touch(row.user_id)


def unfinished(now: datetime) -> QuerySet[Erasure]:
    """Deletions on which no process has worked for a while."""
    return Erasure.objects.filter(touched_at__lt=now - timedelta(seconds=CUT_OFF)).order_by("touched_at")


def taken(erasure: Erasure) -> bool:
    """Take over a deletion that was cut off; False if another process has done so."""
    same = Erasure.objects.filter(user=erasure.user_id, touched_at=erasure.touched_at)
    return bool(same.update(touched_at=clock.now()))


def touch(user_id: UserId) -> bool:
    """Say that the deletion proceeds; False if the user was made active again, or is gone."""
    rows = Erasure.objects.filter(user=user_id, user__is_active=False)
    return bool(rows.update(touched_at=clock.now(), why=""))


def stands(user_id: UserId) -> bool:
    """Whether a user is still to be deleted. It locks the user's row until the transaction ends, and
    forgets the deletion of a user who was made active again.
    """
    with transaction.atomic():
        active = _users(user_id).select_for_update(no_key=True).values_list("is_active", flat=True).first()
        if active:
            Erasure.objects.filter(user=user_id).delete()
        return active is False


def stopped_by(user_id: UserId, error: Exception) -> None:
    """Record why a deletion could not go on."""
    with suppress(DatabaseError):  # the error itself says that the database is gone
        Erasure.objects.filter(user=user_id).update(why=storable(text_of(error)) or class_name(type(error)))


def record(user: Any, deleted: Mapping[str, int]) -> None:
    """Put a user's deletion on the admin's record, in the transaction that deletes the row.

    Args:
        deleted: How many rows of each kind went since the deletion began, or was continued.
    """
    erasure = Erasure.objects.filter(user=user.pk).first()
    what = in_words(deleted)
    who = f"{erasure.who} ({erasure.origin})" if erasure is not None else "an unknown person"
    logger.info("The user with ID %s was deleted with %s; %s asked for it.", user.pk, what, who)
    if erasure is not None and erasure.by_id is not None and apps.is_installed("django.contrib.admin"):
        entries: Any = apps.get_model("admin", "LogEntry")._default_manager
        entries.log_actions(erasure.by_id, [user], DELETION, f"Deleted with {what}.")


def in_words(deleted: Mapping[str, int]) -> str:
    """What was deleted of a user, except the user's own row."""
    parts = [
        f"{count:,} {kind.replace('_', ' ')}" for kind, count in deleted.items() if count and kind != "users"
    ]
    return ", ".join(parts) or "no data"


def _users(user_id: UserId) -> QuerySet[Any]:
    model: Any = get_user_model()
    users: QuerySet[Any] = model._default_manager.filter(pk=user_id)
    return users
