"""Runs and their states."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q

from runs.conf import settings as run_settings
from runs.models.assistant import Assistant
from runs.models.querysets import RunQuerySet, check_arrow
from runs.models.worker import Worker
from threads.db.fields import TextJSONField
from threads.db.ids import new_id
from threads.models import Thread

DEFAULT_QUEUE = "default"


class RunStatus(models.TextChoices):
    #: Accepted, waiting for a worker, for its thread, or for its time.
    PENDING = "pending"
    #: A worker executes it.
    RUNNING = "running"
    #: The graph ended, or stopped at an interrupt.
    SUCCESS = "success"
    #: The graph raised, or its process was lost too often.
    ERROR = "error"
    #: It ran longer than its wall-clock limit.
    TIMEOUT = "timeout"
    #: It was cancelled.
    INTERRUPTED = "interrupted"


class MultitaskStrategy(models.TextChoices):
    """What a new run does to the thread's other runs."""

    ENQUEUE = "enqueue"
    REJECT = "reject"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"


class CancelAction(models.TextChoices):
    #: Keep the checkpoints.
    INTERRUPT = "interrupt"
    #: Remove the run and its checkpoints; the thread returns to its earlier state.
    ROLLBACK = "rollback"


class Durability(models.TextChoices):
    """When a step's result is saved: before the next step, during it, or at the end."""

    SYNC = "sync"
    ASYNC = "async"
    EXIT = "exit"


class Run(models.Model):
    """One execution of an assistant on a thread.

    States: initial `pending`; final `success`, `error`, `timeout` and `interrupted`. The allowed transitions, each one a
    conditional UPDATE on `RunQuerySet` and nowhere else:

        pending -> running       claimed: attempt, epoch and thread epoch grow; the owner is set
        pending -> interrupted   cancelled before it began
        pending -> error         it can never be executed (its graph is gone)
        running -> pending       drained (no attempt is charged), or resumed after its process was lost
        running -> success       the graph ended or stopped at an interrupt
        running -> error         the graph raised, or its process was lost and policy or attempts say so
        running -> timeout       the wall-clock limit was reached
        running -> interrupted   cancelled, or stopped by a shutdown whose policy says so

    A rolled-back run is deleted, from `pending` or `running`. Nothing leaves a final state. An
    owner writes only with the epoch that it claimed, so that a process that lost the run cannot
    change it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # The indexes below start with these columns. A separate index on each would add an insertion per run.
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="runs", db_index=False)
    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    status = models.CharField(max_length=11, choices=RunStatus, default=RunStatus.PENDING)
    #: Only workers that serve this queue execute it; from its graph's registration.
    queue = models.CharField(max_length=64, default=DEFAULT_QUEUE, db_default=DEFAULT_QUEUE)
    #: Runs with a higher priority are claimed first; from its graph's registration.
    priority = models.SmallIntegerField(default=0, db_default=0)
    metadata = models.JSONField(default=dict)
    #: The client's request: input, command, config, context, stream modes, and so on (`runs.requests.run`).
    kwargs = TextJSONField(default=dict)
    #: The user's details from the Auth file, for the graph in any process; None without an Auth file. They
    #: may contain secrets, so no client and no page shows them.
    auth_details = TextJSONField(null=True)
    #: Who asked for it, if not its user in person: {"by": "key", "name": …} with a key of theirs, or
    #: {"by": "code"} for code of the site.
    asked_by = TextJSONField(null=True)
    multitask_strategy = models.CharField(
        max_length=9, choices=MultitaskStrategy, default=MultitaskStrategy.ENQUEUE
    )
    #: Delete the thread at the run's end (a stateless run).
    temporary = models.BooleanField(default=False)
    #: What happens to the run when its process is lost; "" for the setting.
    recovery = models.CharField(max_length=6, blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    #: Not executed before this time (`after_seconds`).
    due_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    #: How often it was claimed.
    attempt = models.PositiveIntegerField(default=0)
    #: Attempts that ended because their process was lost.
    lost_attempts = models.PositiveIntegerField(default=0)
    #: The thread's epoch under which the present attempt writes; 0 before the first.
    epoch = models.PositiveBigIntegerField(default=0)
    worker = models.ForeignKey(
        Worker, null=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    #: The first request wins.
    cancel_action = models.CharField(max_length=9, choices=CancelAction, blank=True, default="")
    cancel_requested_at = models.DateTimeField(null=True)
    #: {"error": class, "message": …} of a run that ended in `error` or `timeout`.
    error = TextJSONField(null=True)
    #: {"node", "tasks", "traceback"} of that error, for operators, without secrets.
    failure = TextJSONField(null=True)
    #: When a person asked that it stops at its next step and goes back to `pending`.
    requeue_requested_at = models.DateTimeField(null=True)
    #: The run that it repeats or continues, if a person asked for that.
    parent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.SET_NULL,
        related_name="children",
        db_constraint=False,
        db_index=False,
    )
    #: The thread's checkpoint before the run, with its writes, for a rollback.
    base = TextJSONField(null=True)
    event_count = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    #: The same by model: {name: [input tokens, output tokens]}; None without any.
    usage = TextJSONField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        permissions = [
            ("operate_run", "Can cancel and reconcile runs"),
            ("view_run_payload", "Can read inputs, outputs and logs of runs"),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(status="pending"), name="runs_claimable"),
            models.Index(
                fields=["user", "-priority", "due_at", "id"],
                condition=Q(status="pending"),
                name="runs_waiting_by_user",
            ),
            models.Index(fields=["user"], condition=Q(status="running"), name="runs_running_by_user"),
            models.Index(fields=["thread", "-created_at"], name="runs_of_thread"),
            models.Index(
                fields=["thread"], condition=Q(status__in=("pending", "running")), name="runs_in_flight"
            ),
            models.Index(fields=["worker"], condition=Q(worker__isnull=False), name="runs_owned_by"),
            models.Index(fields=["parent"], condition=Q(parent__isnull=False), name="runs_children"),
            # For people's lists, which would look for a rare status in the whole table. PostgreSQL has one more, of a
            # user's runs (migration 0020).
            models.Index(
                fields=["status", "-id"],
                condition=Q(status__in=("error", "timeout", "interrupted")),
                name="runs_ended_badly",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["thread"], condition=Q(status="running"), name="runs_one_running_per_thread"
            ),
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="runs_status_known"),
            models.CheckConstraint(
                condition=~Q(status="running") | Q(worker__isnull=False, epoch__gt=0, attempt__gt=0),
                name="runs_running_is_owned",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def resumable(self) -> bool:
        """Whether the run resumes after an attempt that ended through no fault of its own, by
        policy and number of attempts.
        """
        policy = self.recovery or run_settings.RECOVERY
        return policy == "resume" and self.lost_attempts + 1 < run_settings.MAX_ATTEMPTS

    @property
    def poisonous(self) -> bool:
        """Whether so many of its processes were lost that no other one should open its graph."""
        return self.lost_attempts >= run_settings.MAX_ATTEMPTS

    @property
    def graph_id(self) -> str:
        """The graph of its assistant at admission; for a run that older code admitted, the
        assistant's present graph.
        """
        admitted = self.kwargs.get("config", {}).get("configurable", {}).get("graph_id")
        return admitted or self.assistant.graph_id

    def claim(self, worker_id: UUID | None, *, epoch: int, now: datetime) -> None:
        """Claim a run that is not inserted yet: `pending -> running` within its admission."""
        check_arrow(self.status, RunStatus.RUNNING)
        self.status, self.worker_id, self.started_at = RunStatus.RUNNING, worker_id, now
        self.epoch, self.attempt = epoch, self.attempt + 1
