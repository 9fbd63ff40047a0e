"""Deleting assistants.

The assistant's runs in flight are cancelled, but its runs and threads are kept with their results,
because clients have seen them. So the assistant's row is also kept, emptied and hidden, until no
run refers to it; the sweep of old rows removes it then. Its crons are deleted. With
`delete_threads`, the user's threads on which it ran last are deleted too.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction

from runs.assistants.definition import BLANK
from runs.assistants.writing import locked
from runs.deletion import THREADS, parts
from runs.exceptions import NotFound, NothingToCancel
from runs.identity.auth_file.named import deletable
from runs.lifecycle.cancellation import cancel
from runs.models import AssistantVersion, CancelAction, Cron, Run
from runs.process.current import current
from runs.retention.thread_deletion import hide_threads, remove_hidden
from threads.db import clock
from threads.db.conditions import containing
from threads.db.database import in_database
from threads.db.time_limits import time_limit
from threads.models import Thread
from threads.models.querysets import Principal


async def delete_assistant(assistant_id: UUID, *, delete_threads: bool, principal: Principal) -> None:
    """Delete an assistant, cancel its runs in flight, and optionally delete its threads.

    The assistant is deleted with the first commit. A crash after that leaves the rest undone, but
    consistent: its runs continue, because admission has fixed all that they need, and threads that
    are not yet hidden stay. Hidden ones are removed by the sweep, if the time of the request ends.

    Raises:
        NotFound: No such assistant.
        SystemAssistant: System assistants cannot be deleted.
        QueryTooSlow: Finding its threads takes too long; nothing was deleted.
    """
    found: list[UUID] = []
    if delete_threads:
        # First, because nothing may be done if it takes too long.
        with time_limit():
            found = await in_database(_threads, assistant_id, principal)
    await in_database(_hide, assistant_id, principal=principal)
    hidden: list[UUID] = []
    # All are hidden first, which also ends their runs; removing them may take longer than a client waits.
    for page in parts(found, THREADS):
        hidden += await _hide_threads(page, principal)
    for run_id in await in_database(_in_flight, assistant_id):
        # A run that has just ended needs no cancellation.
        with suppress(NothingToCancel):
            await in_database(cancel, run_id, action=CancelAction.INTERRUPT)
            current().cancelled(run_id)
    await remove_hidden(hidden)


async def _hide_threads(thread_ids: Collection[UUID], principal: Principal) -> list[UUID]:
    """Hide the threads that the Auth file lets the principal delete, without an Auth file all of them
    at once; return their ids.
    """
    allowed: dict[str, tuple[Any, list[UUID]]] = {}
    for thread_id, narrowed in await deletable(principal, thread_ids):
        allowed.setdefault(repr(narrowed.filters), (narrowed, []))[1].append(thread_id)
    hidden = [await hide_threads(found, principal=narrowed) for narrowed, found in allowed.values()]
    return [thread_id for each in hidden for thread_id in each]


def _hide(assistant_id: UUID, *, principal: Principal) -> None:
    with transaction.atomic():
        try:
            assistant = locked(assistant_id, principal=principal)
        except NotFound:
            raise NotFound(f"Assistant with ID {assistant_id} not found") from None
        AssistantVersion.objects.filter(assistant=assistant).delete()
        # Crons of a deleted assistant can never fire.
        Cron.objects.filter(assistant=assistant).delete()
        kept = {**BLANK, "name": assistant.name}
        type(assistant).objects.filter(id=assistant_id).update(deleted_at=clock.now(), **kept)


def _in_flight(assistant_id: UUID) -> list[UUID]:
    return list(Run.objects.in_flight().filter(assistant=assistant_id).values_list("id", flat=True))


def _threads(assistant_id: UUID, principal: Principal) -> list[UUID]:
    """The threads on which the assistant ran last, by their metadata."""
    of_assistant = containing("metadata", {"assistant_id": str(assistant_id)})
    threads = Thread.objects.for_principal(principal).visible().filter(of_assistant)
    return list(threads.values_list("id", flat=True))
