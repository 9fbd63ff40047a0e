"""Authorisation of objects that a request names or creates in addition to its route's own object.

The checks are the reference server's: `assistants read` for the assistant of a run or a cron,
`threads read` for the thread of a cron, `threads create` for a copy. Objects that a filter hides
are treated as missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast
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

P = TypeVar("P", bound=Principal)


async def ask_about_assistants(principal: P, names: Iterable[str]) -> P:
    """Authorise the assistants of new runs; return the principal who may use them. System assistants need no
    check.

    Raises NotFound for a hidden assistant, or the Auth file's HttpError.
    """
    if configured.current() is None:
        return principal
    asked = [found for each in dict.fromkeys(names) if (found := _users_assistant(each)) is not None]
    for assistant_id in asked:
        narrowed = await _ask(principal, "assistants", "read", _value(assistant_id=assistant_id))
        await in_database(_require, assistant_id, principal=narrowed)
    # Each was found under its own filter.
    return cast(P, cast(principals.Principal, principal).sharing("assistants")) if asked else principal


def _users_assistant(name: str) -> UUID | None:
    """The id of an assistant that a user created; None for system assistants and unknown names."""
    try:
        assistant_id = UUID(name)
    except ValueError:
        return None
    return None if assistant_id in map(system_assistant_id, graphs.names()) else assistant_id


def _require(assistant_id: UUID, *, principal: Principal) -> None:
    if not Assistant.objects.for_principal(principal).filter(id=assistant_id).exists():
        raise NotFound("Thread or assistant not found.")


async def ask_about_thread(principal: Principal, thread_id: UUID | None) -> principals.Principal:
    """Authorise reading a thread for a run or a search; None stands for all threads.

    Returns the principal with its filter for threads. Raises HttpError.
    """
    if thread_id is None:
        return await _ask(principal, "threads", "search", _value())
    narrowed = await _ask(principal, "threads", "read", _value(thread_id=thread_id))
    await hide_thread(narrowed, thread_id)
    return narrowed


async def ask_about_copy(principal: Principal) -> dict[str, Any]:
    """Authorise copying a thread; return the handler's metadata for the copy. Raises HttpError."""
    value = _value(thread_id=new_id())
    await _ask(principal, "threads", "create", value)
    return dict(value.get("metadata") or {})


async def deletable(
    principal: Principal, thread_ids: Iterable[UUID]
) -> list[tuple[UUID, principals.Principal]]:
    """The threads that may be deleted, each with the principal for it; the others are left out."""
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
    """A value for a handler. It always has metadata, to which handlers may add."""
    return {**ids, "metadata": {}}
