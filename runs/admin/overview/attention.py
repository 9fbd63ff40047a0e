"""What the dashboard says that needs a person: a sentence for each trouble, and the page that tells its cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse
from django.utils.http import urlencode

from runs.admin.rights import OPERATE
from runs.lifecycle.operators import troubles
from runs.lifecycle.operators.queues import Queue
from threads.db import clock
from threads.display import seconds

VIEW_WEBHOOKS = "runs.view_webhookdelivery"
#: The most characters of an error in a sentence.
LONGEST = 300


@dataclass(frozen=True, slots=True)
class Item:
    title: str
    text: str
    #: The page that tells the cause.
    url: str
    #: A command that mends it, which runs where the site is deployed.
    command: str = ""
    #: The address of the list of the runs that a button cancels, and the button's words.
    cancels: str = ""
    label: str = ""


def found(user: AbstractBaseUser, failed: list[UUID], queues: list[Queue]) -> list[Item]:
    """What the person may see of it, the most urgent first.

    Args:
        failed: The ids of failed runs, the newest first.
    """
    allowed: Any = user
    items = [*_unserved(queues), *_killed(), *_silent(), *_failures(failed)]
    items += _crowds(operates=allowed.has_perm(OPERATE))
    return items + list(_undelivered()) if allowed.has_perm(VIEW_WEBHOOKS) else items


def unserved(queue: Queue) -> bool:
    """Whether runs of a queue wait, or were left by a dead process, and no live worker serves it."""
    return bool((queue.pending or queue.running) and not queue.workers)


def runs_matching(search: str) -> str:
    return f"{reverse('admin:runs_run_changelist')}?{urlencode({'q': search})}"


def _unserved(queues: list[Queue]) -> Iterator[Item]:
    for queue in filter(unserved, queues):
        yield Item(
            f"No worker serves the queue {queue.name}",
            f"{_runs(queue.pending + queue.running)} of it cannot go on. Start a worker:",
            reverse("admin:runs_pausedqueue_changelist"),
            command=f"manage.py run_worker --queues {queue.name}",
        )


def _killed() -> Iterator[Item]:
    for each in troubles.killed():
        left = f"{_runs(each.waiting)} that it executed must be taken over." if each.waiting else ""
        lost = f"{each.lost} attempt{'s' * (each.lost != 1)} ended with it." if each.lost else ""
        yield Item(
            f"The worker {each.worker} was killed",
            f"Its last heartbeat was {_ago(each.worker.heartbeat_at)}. {left or lost}",
            reverse("admin:runs_worker_change", args=[each.worker.pk]),
        )


def _silent() -> Iterator[Item]:
    for each in troubles.silent():
        yield Item(
            f"A run of {each.graph} is silent",
            f"It executes, and has streamed nothing since {_ago(each.since)}.",
            _run(each.run_id),
        )


def _failures(failed: list[UUID]) -> Iterator[Item]:
    for each in troubles.failures(failed):
        where = f"{each.node} of {each.graph}" if each.node else each.graph
        more = f" {each.count} runs, this is the newest." if each.count > 1 else ""
        yield Item(f"{where} failed", f"{each.error}: {each.message[:LONGEST]}{more}", _run(each.run_id))


def _crowds(*, operates: bool) -> Iterator[Item]:
    for each in troubles.crowds():
        search = runs_matching(f'user:"{each.username}" status:pending')
        yield Item(
            f"{each.username} fills the queue",
            f"{each.pending} of the {each.of} waiting runs are of this user.",
            search,
            cancels=search if operates else "",
            label=f"Cancel these {each.pending} runs",
        )


def _undelivered() -> Iterator[Item]:
    for each in troubles.undelivered():
        yield Item(
            f"Webhooks to {each.host} were given up",
            f"{each.count} failed for good; the newest: {each.why[:LONGEST]}",
            reverse("admin:runs_webhookdelivery_change", args=[each.delivery_id]),
        )


def _run(run_id: UUID) -> str:
    return reverse("admin:runs_run_change", args=[run_id])


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _ago(moment: datetime) -> str:
    return f"{seconds((clock.now() - moment).total_seconds())} ago"
