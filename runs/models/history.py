"""What happened to a run: its attempts, what people asked of it, and where its trace is."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from runs.models.run import Run
from threads.db.fields import TextJSONField
from threads.db.ids import new_id


class Attempt(models.Model):
    """One try at executing a run.

    Only triggers of the database write it (`runs.models.history_triggers`): each change of a run's
    status does so in the same transaction.
    """

    pk = models.CompositePrimaryKey("run_id", "number")
    #: No database constraint, as for events; the run's deletion deletes its attempts.
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="attempts"
    )
    number = models.PositiveIntegerField()
    #: The thread's epoch of this attempt, which its events have too.
    epoch = models.PositiveBigIntegerField()
    #: The process that executed it. Copied, because the rows of stopped workers are removed.
    worker_id = models.UUIDField(null=True)
    host = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(default=0)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    #: A final status; or `lost` (its process was), `drained` (a shutdown), `requeued` (a person).
    reason = models.CharField(max_length=11, blank=True)

    def __str__(self) -> str:
        return f"{self.run_id} attempt {self.number}"


class RunAction(models.Model):
    """What a person asked of a run, why, and the result.

    One kind is of nobody: `TRACED` has the address of the run's trace, `detail["url"]`.
    """

    TRACED = "traced"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    #: No database constraint, as for attempts.
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="actions"
    )
    kind = models.CharField(max_length=16)
    reason = models.TextField(blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    #: The person's name at that time.
    who = models.CharField(max_length=255)
    #: From where: `admin`, `command`, `api` or `code` (of the site).
    origin = models.CharField(max_length=16)
    outcome = models.TextField()
    #: What was asked in detail, such as the id of a new run.
    detail = TextJSONField(default=dict)
    created_at = models.DateTimeField()
    #: The thread of a run that was rolled back or deleted: this record outlives the run
    #: (`history_triggers.OUTLIVING`), and goes with the thread.
    thread_id = models.UUIDField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["run", "id"], name="runs_actions_of_run"),
            models.Index(
                fields=["thread_id", "id"],
                condition=Q(thread_id__isnull=False),
                name="runs_removals_of_thread",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.who}"
