"""Processes that execute runs."""

from __future__ import annotations

from django.db import models

from runs.models.querysets import WorkerQuerySet
from threads.db import clock
from threads.db.fields import TextJSONField
from threads.db.ids import new_id


class Worker(models.Model):
    """A process that executes runs. It counts as alive until its lease ends."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=64)
    concurrency = models.PositiveIntegerField()
    #: The queues that it serves; None for all.
    queues = TextJSONField(null=True)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    lease_expires_at = models.DateTimeField(db_index=True)
    draining = models.BooleanField(default=False)
    #: When an operator asked it to stop. It reads this at each heartbeat.
    drain_requested_at = models.DateTimeField(null=True)
    #: When it ended its lease, or was found dead.
    stopped_at = models.DateTimeField(null=True)
    #: When others found it dead; None if it ended its lease itself. Nullable without a default: SQLite would
    #: copy the table, to which triggers of runs refer.
    killed_at = models.DateTimeField(null=True)

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @property
    def state(self) -> str:
        """`running`, `draining`, `stopped`, or `killed`: its lease ran out, or it was found dead."""
        if self.killed_at is not None or (self.stopped_at is None and self.lease_expires_at <= clock.now()):
            return "killed"
        if self.stopped_at is not None:
            return "stopped"
        return "draining" if self.draining or self.drain_requested_at else "running"
