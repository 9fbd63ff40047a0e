"""What an Auth file says about things that a request names, or makes, beside what its route is about.

Each question is the reference server's: the assistant of a run or a cron is asked about by `assistants read`, the thread of
a cron by `threads read`, a copy by `threads create`. Whatever its filter hides does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from ninja.errors import HttpError

from runs import graphs
from runs.exceptions import NotFound
from runs.graphs.system_assistants import system_assistant_id
from runs.identity import principals
from runs.identity.auth_file import configured
from runs.identity.auth_file.authorization import authorize
from runs.identity.auth_file.permission import hide_thread
from runs.models import Assistant
from threads.db.database import in_database
from threads.db.ids import new_id
from threads.models.querysets import Principal


async def ask_about_assistants(principal: Principal, names: Iterable[str]) -> None:
    """Ask about the assistants that are to be run. The system's are everybody's.

    Raises NotFound for one that is hidden, or the Auth file's HttpError.
    """
    if configured.current() is None:
        return
    for assistant_id in dict.fromkeys(map(_users_assistant, names)):
        if assistant_id is not None:
            narrowed = await _ask(principal, "assistants", "read", _value(assistant_id=assistant_id))
            await in_database(_require, assistant_id, principal=narrowed)


def _users_assistant(name: str) -> UUID | None:
    """The id of an assistant that a user made; None for a graph's own, and for what is none."""
    try:
        assistant_id = UUID(name)
    except ValueError:
        return None
    return None if assistant_id in map(system_assistant_id, graphs.names()) else assistant_id


def _require(assistant_id: UUID, *, principal: Principal) -> None:
    if not Assistant.objects.for_principal(principal).filter(id=assistant_id).exists():
        raise NotFound("Thread or assistant not found.")


async def ask_about_thread(principal: Principal, thread_id: UUID | None) -> principals.Principal:
    """Ask about the thread on which something is to run, or to be looked for; of all threads if it is None.

    Returns the principal as it may see threads. Raises HttpError.
    """
    if thread_id is None:
        return await _ask(principal, "threads", "search", _value())
    narrowed = await _ask(principal, "threads", "read", _value(thread_id=thread_id))
    await hide_thread(narrowed, thread_id)
    return narrowed


async def ask_about_copy(principal: Principal) -> dict[str, Any]:
    """Ask whether a thread may be made that is a copy; return the metadata that the handler gives it. Raises HttpError."""
    value = _value(thread_id=new_id())
    await _ask(principal, "threads", "create", value)
    return dict(value.get("metadata") or {})


async def deletable(
    principal: Principal, thread_ids: Iterable[UUID]
) -> list[tuple[UUID, principals.Principal]]:
    """Those of the threads that may be deleted, each with the principal that may; the others are left."""
    found = []
    for thread_id in thread_ids:
        try:
            found.append((thread_id, await _ask(principal, "threads", "delete", {"thread_id": thread_id})))
        except HttpError:
            continue
    return found


async def _ask(
    principal: Principal, resource: str, action: str, value: dict[str, Any]
) -> principals.Principal:
    return await authorize(cast(principals.Principal, principal), resource, action, value)


def _value(**ids: UUID) -> dict[str, Any]:
    """Handlers find metadata in whatever they are shown, and may add to them."""
    return {**ids, "metadata": {}}
