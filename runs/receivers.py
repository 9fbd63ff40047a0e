"""Receivers, connected when the application is ready."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import F, Q
from django.db.models.signals import post_migrate, pre_delete
from django.dispatch import receiver

from runs.conf import settings
from runs.deletion import ROWS, THREADS, parts, turn
from runs.exceptions import UserTooLarge
from runs.models import DeletedRun, Run, RunEvent
from threads.checkpoints.opening import open_pruning
from threads.checkpoints.postgres.setup import create_tables
from threads.models import Thread

#: The most threads, runs and checkpoints of a user whom Django's own deletion may delete.
MOST_ROWS = 10_000


@receiver(pre_delete, sender=Run, dispatch_uid="runs.delete_events")
def delete_events(instance: Run, **kwargs: Any) -> None:
    """Events have no foreign key in the database, so they are deleted here, unless `remove_run` has noted
    that they go in steps.
    """
    if not DeletedRun.objects.filter(run_id=instance.pk).exists():
        RunEvent.objects.filter(run_id=instance.pk).delete()


@receiver(pre_delete, sender=django_settings.AUTH_USER_MODEL, dispatch_uid="runs.refuse_large_users")
def refuse_large_users(instance: Any, **kwargs: Any) -> None:
    """Django deletes a user in one transaction. It would hold its locks for minutes if much is the
    user's, and on SQLite, where checkpoints are in another file, could lose only these.

    Raises UserTooLarge before a checkpoint is deleted; the transaction takes back the rest, such as the
    events of the runs, whose own signal comes first.
    """
    threads = Thread.objects.filter(user=instance.pk)
    runs = Run.objects.filter(Q(user=instance.pk) | Q(thread__user=instance.pk))
    left = MOST_ROWS
    for rows in (threads, runs):
        left -= rows.order_by()[: left + 1].count()
        if left < 0:
            raise UserTooLarge
    thread_ids = list(threads.values_list("id", flat=True))
    if open_pruning(file=settings.CHECKPOINTS_FILE).count(thread_ids, limit=left + 1) > left:
        raise UserTooLarge


@receiver(pre_delete, sender=django_settings.AUTH_USER_MODEL, dispatch_uid="runs.delete_checkpoints")
def delete_checkpoints(instance: Any, **kwargs: Any) -> None:
    """Checkpoints have no foreign key either, so a user's are deleted here. Django finds the user's
    other rows itself.
    """
    threads = Thread.objects.filter(user=instance.pk)
    with turn():
        # A concurrent writer waits for the end of this transaction, and then finds no thread.
        thread_ids = list(threads.order_by("id").locked().values_list("id", flat=True))
        pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
        for part in parts(thread_ids, THREADS):
            while pruning.delete(part, limit=ROWS):
                pass


@receiver(pre_delete, sender=django_settings.AUTH_USER_MODEL, dispatch_uid="runs.free_threads")
def free_threads(instance: Any, **kwargs: Any) -> None:
    """Threads that others share with a user do not stay busy with a run that is deleted with the user."""
    theirs = Run.objects.in_flight().filter(user=instance.pk).exclude(thread__user=instance.pk)
    with turn():
        threads = Thread.objects.filter(id__in=theirs.values("thread")).order_by("id").locked()
        thread_ids = list(threads.values_list("id", flat=True))
        others = Run.objects.in_flight().exclude(user=instance.pk).filter(thread__in=thread_ids)
        busy = set(others.values_list("thread", flat=True))
        # A new epoch fences the writers of the deleted runs.
        Thread.objects.filter(id__in=thread_ids).update(epoch=F("epoch") + 1)
        idle = [each for each in thread_ids if each not in busy]
        Thread.objects.filter(id__in=idle).update(status=F("resting_status"))


@receiver(post_migrate, dispatch_uid="runs.create_checkpoint_tables")
def create_checkpoint_tables(sender: Any, using: str, **kwargs: Any) -> None:
    """`migrate` also creates LangGraph's tables, so that servers that start at the same time need
    not.
    """
    ours = getattr(sender, "name", "") == "runs" and using == DEFAULT_DB_ALIAS
    if ours and connections[using].vendor == "postgresql":
        create_tables(using)
