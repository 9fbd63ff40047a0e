"""Creating and changing assistants: each change is a new version, in one transaction that locks the assistant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Max

from runs import graphs
from runs.assistants.definition import BLANK, changed
from runs.conf import settings
from runs.exceptions import NotFound, RunsError
from runs.models import Assistant, AssistantVersion
from runs.models.assistant_version import DEFINITION
from threads.db import clock
from threads.models.querysets import Principal


class AssistantExists(RunsError):
    """An assistant with this id exists already."""


class SystemAssistant(RunsError):
    """The assistant belongs to the server, for every user; create one of your own for its graph, and change that."""


def create_assistant(
    given: Mapping[str, Any], *, assistant_id: UUID | None, if_exists: str, principal: Principal
) -> tuple[Assistant, bool]:
    """Create an assistant, with its first version; return it, or the existing one with its id, and
    whether it is new.

    Args:
        if_exists: `raise`, or `do_nothing` to return the existing assistant unchanged.

    Raises:
        GraphNotFound: No such graph.
        AssistantExists: The id is taken.
        InvalidRequest: A value is not allowed.
    """
    said = changed(BLANK, given, most=settings.ASSISTANT_LIMIT)
    graphs.registration(said["graph_id"])
    now = clock.now()
    assistant = Assistant(
        id=assistant_id or uuid4(), user_id=principal.user_id, created_at=now, updated_at=now, **said
    )
    try:
        with transaction.atomic():
            again = _deleted(assistant.id, principal)
            assistant.save(force_insert=not again, force_update=again)
            AssistantVersion.of(assistant).save(force_insert=True)
    except IntegrityError:
        existing = Assistant.objects.for_principal(principal).filter(id=assistant.id).first()
        if existing is None or if_exists == "raise":
            raise AssistantExists(f"Assistant {assistant.id} already exists") from None
        return existing, False
    return assistant, True


def _deleted(assistant_id: UUID, principal: Principal) -> bool:
    """Whether the principal's assistant with this id is marked as deleted; if so, it is locked."""
    mine = Assistant.objects.filter(id=assistant_id, user_id=principal.user_id).deleted()
    return mine.select_for_update(of=("self",)).first() is not None


def change_assistant(assistant_id: UUID, given: Mapping[str, Any], *, principal: Principal) -> Assistant:
    """Create a new version of an assistant, which becomes its latest one.

    Raises:
        NotFound: No such assistant.
        SystemAssistant: The caller may not change it.
        GraphNotFound: No such graph.
        InvalidRequest: A value is not allowed.
    """
    if "graph_id" in given:
        graphs.registration(given["graph_id"])
    with transaction.atomic():
        assistant = locked(assistant_id, principal=principal)
        before = {column: getattr(assistant, column) for column in DEFINITION}
        said = changed(before, given, most=settings.ASSISTANT_LIMIT)
        newest = AssistantVersion.objects.filter(assistant=assistant).aggregate(newest=Max("version"))
        assistant.version = max(newest["newest"] or 0, assistant.version) + 1
        _say(assistant, said)
        AssistantVersion.of(assistant).save(force_insert=True)
    return assistant


def set_latest(assistant_id: UUID, version: int, *, principal: Principal) -> Assistant:
    """Make an existing version the latest one; no version is deleted.

    Raises:
        NotFound: No such assistant, or no such version of it.
        SystemAssistant: The caller may not change it.
    """
    with transaction.atomic():
        assistant = locked(assistant_id, principal=principal)
        found = AssistantVersion.objects.filter(assistant=assistant, version=version).first()
        if found is None:
            raise NotFound(f"Version {version} not found for assistant {assistant_id}")
        assistant.version = version
        _say(assistant, {column: getattr(found, column) for column in DEFINITION})
    return assistant


def _say(assistant: Assistant, said: Mapping[str, Any]) -> None:
    assistant.updated_at = clock.now()
    for column, value in said.items():
        setattr(assistant, column, value)
    assistant.save(update_fields=["version", "updated_at", *DEFINITION])


def locked(assistant_id: UUID, *, principal: Principal) -> Assistant:
    """The principal's assistant, locked until the transaction ends. Raises NotFound or SystemAssistant."""
    visible = Assistant.objects.for_principal(principal)
    assistant = visible.filter(id=assistant_id).select_for_update(of=("self",)).first()
    if assistant is None:
        raise NotFound(f"Assistant {assistant_id} not found")
    if assistant.user_id is None:
        raise SystemAssistant
    return assistant
