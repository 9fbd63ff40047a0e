"""Receivers, connected when the application is ready."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models.signals import post_migrate, pre_delete
from django.dispatch import receiver

from runs.models import Run, RunEvent
from threads.checkpoints.setup import create_tables


@receiver(pre_delete, sender=Run, dispatch_uid="runs.delete_events")
def delete_events(instance: Run, **kwargs: Any) -> None:
    """Events have no foreign key in the database; they go with their run here."""
    RunEvent.objects.filter(run_id=instance.pk).delete()


@receiver(post_migrate, dispatch_uid="runs.create_checkpoint_tables")
def create_checkpoint_tables(sender: Any, using: str, **kwargs: Any) -> None:
    """`migrate` also creates LangGraph's tables, so that servers that start together need not."""
    if getattr(sender, "name", "") == "runs" and connections[using].vendor == "postgresql":
        create_tables(using)
