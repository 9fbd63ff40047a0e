"""Which runs a command is about: by filters, and what their statuses mean as exit codes."""

from __future__ import annotations

from argparse import Namespace
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from runs.lifecycle.operators import waiting as questions
from runs.management.agents.parsing import by_id
from runs.management.times import before_time
from runs.models import Run, RunStatus
from threads.db.ids import first_id
from threads.models import Thread

#: The exit codes of `--exit-status`, by a run's status.
EXIT = {
    RunStatus.SUCCESS: 0, RunStatus.ERROR: 10, RunStatus.INTERRUPTED: 12, RunStatus.TIMEOUT: 13,
    RunStatus.PENDING: 14, RunStatus.RUNNING: 14,
}  # fmt: skip
#: The exit code of a run that waits for a person.
WAITS = 11


def add_filters(parser: CommandParser) -> None:
    """The conditions by which runs are chosen."""
    parser.add_argument(
        "--status", action="append", choices=[*RunStatus.values, "waiting"], metavar="STATUS",
        help=f"Only runs of this status; may be repeated. One of {', '.join(RunStatus.values)}, or waiting: for an answer.",
    )  # fmt: skip
    parser.add_argument(
        "--assistant", metavar="NAME", help="Only runs of an assistant: its name, id or graph."
    )
    parser.add_argument("--thread", metavar="ID", help="Only runs of a thread.")
    parser.add_argument("--user", metavar="NAME", help="Only a user's runs.")
    parser.add_argument("--queue", metavar="NAME", help="Only runs of a queue.")
    parser.add_argument(
        "--since", type=before_time, metavar="TIME",
        help="Only runs created after an ISO time, or within an age such as 90s, 30m, 2h or 1d.",
    )  # fmt: skip


def filtered(given: Namespace) -> bool:
    """Whether there are conditions."""
    return any((given.status, given.assistant, given.thread, given.user, given.queue, given.since))


def chosen(given: Namespace) -> QuerySet[Run]:
    """The runs that the conditions choose, newest first."""
    found: QuerySet[Run] = Run.objects.order_by("-id")
    if given.status:
        known = [each for each in given.status if each != "waiting"]
        found = found.filter(_of_status(known, waiting="waiting" in given.status))
    if given.assistant:
        found = found.filter(_of_assistant(given.assistant))
    if given.thread:
        found = found.filter(thread=by_id(Thread.objects.all(), given.thread).pk)
    if given.user:
        found = found.filter(**{f"user__{get_user_model().USERNAME_FIELD}": given.user})
    if given.queue:
        found = found.filter(queue=given.queue)
    if given.since:
        found = found.filter(id__gte=first_id(given.since))
    return found


def _of_status(known: list[str], *, waiting: bool) -> Q:
    wanted = Q(status__in=known)
    return wanted | questions.waiting() if waiting else wanted


def _of_assistant(text: str) -> Q:
    wanted = Q(assistant__name=text) | Q(assistant__graph_id=text)
    try:
        return wanted | Q(assistant=UUID(text))
    except ValueError:
        return wanted


def loaded(found: QuerySet[Run]) -> QuerySet[Any]:
    """The runs with their relations, and whether each `waits` for a person."""
    asks = ExpressionWrapper(questions.waiting(), output_field=BooleanField())
    return found.select_related("assistant", "thread", "user", "worker").annotate(waits=asks)


def exit_status(run: Any) -> int:
    """The exit code for the status of a run of `loaded`."""
    return WAITS if run.waits else EXIT[RunStatus(run.status)]
