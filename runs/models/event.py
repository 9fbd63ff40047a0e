"""Entries of runs' streams."""

from __future__ import annotations

from django.db import models

from runs.models.run import Run


class RunEvent(models.Model):
    """One entry of a run's stream. (epoch, seq) only increases, also across a crash; it is the
    event's id.
    """

    pk = models.CompositePrimaryKey("run_id", "epoch", "seq")
    #: No database constraint, because it would cost a lookup and a lock per event. The events of a deleted run
    #: are removed in steps (`DeletedRun`).
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="events"
    )
    epoch = models.PositiveBigIntegerField()
    seq = models.PositiveIntegerField()
    #: The stream mode, with the namespace of a subgraph: "values", "updates|node:task".
    event = models.TextField()
    #: The JSON that a client receives, or its difference from an earlier event (`runs.events.deltas`).
    data = models.TextField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


class DeletedRun(models.Model):
    """A run that was deleted, whose events are still to be removed."""

    run_id = models.UUIDField(primary_key=True)

    def __str__(self) -> str:
        return str(self.run_id)
