"""Creating, changing and finding crons; each function is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from runs.assistants import find_assistant
from runs.crons.firing import continued, date_after, request_of
from runs.crons.schedules import InvalidSchedule, check
from runs.exceptions import InvalidRequest, NotFound
from runs.models import Cron
from runs.requests import limits
from runs.requests.idempotency import Once
from runs.requests.run import sanitised_config, sanitised_metadata
from threads.db import clock
from threads.db.ids import new_id
from threads.models import Thread
from threads.models.querysets import Principal
from threads.redaction import restored

#: Fields that null removes in a change; null leaves other fields as they are.
ERASABLE = frozenset({"end_time", "timezone", "webhook"})
#: Parts of a request whose secrets are redacted for clients.
SECRETIVE = frozenset({"config", "context"})
#: The columns that determine when a cron is due.
TIMING = ("schedule", "timezone", "end_time", "enabled")


def create_cron(
    payload: Mapping[str, Any],
    columns: Mapping[str, Any],
    *,
    thread_id: UUID | None,
    principal: Principal,
    once: Once | None = None,
) -> Cron:
    """Create a cron.

    Args:
        payload: The client's checked body.
        columns: The parts of the body that have a column.
        once: The client's key; a cron that it has created before is returned instead.

    Raises:
        KeyReused, CreationDeleted: The key cannot be used for this request.
        NotFound: No such assistant or thread.
        InvalidRequest: No such schedule or time zone, or a run that is not allowed.
        LimitReached: The user has the maximum of crons.
    """
    crons = Cron.objects.for_principal(principal)
    if once is not None and (found := once.found(crons)):
        return found[0]
    user_id, now = principal.user_id, clock.now()
    limits.check_crons(user_id)
    assistant = find_assistant(payload["assistant_id"], principal=principal)
    mine = Thread.objects.for_principal(principal).visible()
    if thread_id is not None and not mine.filter(id=thread_id).exists():
        raise NotFound("Thread or assistant not found.")
    cron = Cron(
        id=new_id(), user_id=user_id, assistant=assistant, thread_id=thread_id, created_at=now, updated_at=now
    )
    _apply(cron, payload, columns)
    cron.next_run_date = date_after(cron, now)
    try:
        with transaction.atomic():
            if once is not None and (found := once.taken(crons)):
                return found[0]
            cron.save(force_insert=True)
            if once is not None:
                once.record([cron.id])
    except IntegrityError:
        # The thread or the assistant was deleted meanwhile.
        raise NotFound("Thread or assistant not found.") from None
    return cron


def update_cron(
    cron_id: UUID, payload: Mapping[str, Any], columns: Mapping[str, Any], *, principal: Principal
) -> Cron:
    """Change a cron; its metadata is merged. Raises like `create_cron`."""
    with transaction.atomic():
        cron = _mine(cron_id, principal=principal, lock=True)
        before = [getattr(cron, name) for name in TIMING]
        _apply(cron, payload, columns)
        cron.updated_at = now = clock.now()
        if before != [getattr(cron, name) for name in TIMING]:
            # Also when the cron is enabled again: missed dates are skipped.
            cron.next_run_date = date_after(cron, now)
        cron.save(force_update=True)
    return cron


def _apply(cron: Cron, payload: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Apply a client's changes, and check the result."""
    for name, value in columns.items():
        setattr(cron, name, value)
    if cron.thread_id is not None:
        cron.on_run_completed = None
    cron.metadata = {**cron.metadata, **sanitised_metadata(payload.get("metadata") or {})}
    shown = {name: restored(payload[name], cron.payload.get(name)) for name in SECRETIVE & payload.keys()}
    merged = _merged(cron.payload, {**payload, **shown})
    if "metadata" in merged:
        merged["metadata"] = cron.metadata
    config = merged.get("config") or {}
    sanitised_config(config)
    configurable = {**(config.get("configurable") or {}), "cron_id": str(cron.id)}
    merged["config"] = {**config, "configurable": configurable}
    cron.payload = {name: value for name, value in merged.items() if value is not None or name == "input"}
    try:
        check(cron.schedule, cron.timezone)
    except InvalidSchedule as error:
        raise InvalidRequest(str(error)) from None
    limits.check_input(request_of(cron))


def _merged(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The merged parameters of a cron's runs.

    New values under one of the context's two names replace both.
    """
    merged = {**before, **given}
    configurable = (given.get("config") or {}).get("configurable")
    if given.get("context") and not configurable:
        merged["config"] = {
            name: each for name, each in (merged.get("config") or {}).items() if name != "configurable"
        }
    elif configurable and not given.get("context"):
        merged.pop("context", None)
    return merged


def get_cron(cron_id: UUID, *, principal: Principal) -> Cron:
    """Raises NotFound."""
    return _mine(cron_id, principal=principal)


def delete_cron(cron_id: UUID, *, principal: Principal) -> None:
    """Delete a cron; its runs are not touched. Raises NotFound."""
    count, _ = Cron.objects.for_principal(principal).filter(id=cron_id).delete()
    if not count:
        raise NotFound


def _mine(cron_id: UUID, *, principal: Principal, lock: bool = False) -> Cron:
    crons = Cron.objects.for_principal(principal).filter(id=cron_id)
    cron = (crons.select_for_update() if lock else crons).first()
    if cron is None:
        raise NotFound
    return cron


def set_enabled(cron_id: UUID, *, enabled: bool) -> bool:
    """Switch a cron on or off, for an operator; return whether that changed anything."""
    with transaction.atomic():
        cron = Cron.objects.select_for_update().filter(id=cron_id).first()
        if cron is None or cron.enabled is enabled:
            return False
        now = clock.now()
        changes = {"enabled": enabled, **(continued(cron, now) if enabled else {})}
        Cron.objects.filter(id=cron.id).update(updated_at=now, **changes)
    return changes["enabled"] is enabled
