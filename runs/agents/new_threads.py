"""Creating threads, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from runs.agents.calls import as_json, once_of
from runs.agents.permission import CREATE_THREAD, apermitted, permitted
from runs.agents.types import LOCK_TIMEOUT
from runs.exceptions import InvalidRequest
from runs.identity.principals import Principal
from runs.process.locks import bounded_locks
from runs.requests import limits
from runs.requests.idempotency import Once
from threads import expiry
from threads.db import clock, statements
from threads.db.database import in_database
from threads.db.ids import new_id
from threads.models import Thread


def create_thread(
    *,
    user: Any,
    metadata: Mapping[str, Any] | None = None,
    thread_id: UUID | None = None,
    idempotency_key: str | None = None,
) -> UUID:
    """Create a thread, in the present transaction; return its id. Raises like `start`."""
    body = as_json({"metadata": dict(metadata or {})})
    once = once_of(user, idempotency_key, "runs.agents.create_thread", thread_id, body)
    allowed = permitted(user, CREATE_THREAD, {}, body)
    return _thread(allowed.principal, allowed.body["metadata"], thread_id, once)


async def acreate_thread(
    *,
    user: Any,
    metadata: Mapping[str, Any] | None = None,
    thread_id: UUID | None = None,
    idempotency_key: str | None = None,
) -> UUID:
    """Like `create_thread`, in a transaction of its own."""
    body = as_json({"metadata": dict(metadata or {})})
    once = once_of(user, idempotency_key, "runs.agents.create_thread", thread_id, body)
    allowed = await apermitted(user, CREATE_THREAD, {}, body)
    return await in_database(_thread, allowed.principal, allowed.body["metadata"], thread_id, once)


def _thread(
    principal: Principal, metadata: dict[str, Any], thread_id: UUID | None, once: Once | None
) -> UUID:
    with transaction.atomic(), bounded_locks(LOCK_TIMEOUT):
        visible = Thread.objects.for_principal(principal).visible()
        if once is not None and (found := once.taken(visible)):
            return found[0].id
        made = _inserted(principal, metadata, thread_id)
        if once is not None:
            once.record([made])
    return made


def _inserted(principal: Principal, metadata: dict[str, Any], thread_id: UUID | None) -> UUID:
    limits.check_threads(principal.user_id)
    now = clock.now()
    thread = Thread(
        id=thread_id or new_id(),
        user_id=principal.user_id,
        metadata=metadata,
        created_at=now,
        updated_at=now,
        state_updated_at=now,
        **expiry.columns(None, now=now),
    )
    try:
        with transaction.atomic():
            statements.insert(thread)
    except IntegrityError:
        raise InvalidRequest(f"Thread with ID {thread.id} already exists") from None
    return thread.id
