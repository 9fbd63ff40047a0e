"""Finding the assistant that a client names, and the system assistants, one per graph."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from runs import graphs
from runs.exceptions import InvalidRequest, NotFound
from runs.graphs.system_assistants import system_assistant_id
from runs.models import Assistant, AssistantVersion
from threads.db import clock, statements
from threads.filters import belongs
from threads.models.querysets import Principal


def find_assistant(name: str, *, principal: Principal) -> Assistant:
    """The principal's assistant with this id, or a graph's system assistant by its id or the graph's name.

    Raises InvalidRequest and NotFound.
    """
    try:
        assistant_id = UUID(name)
    except ValueError:
        if name not in graphs.names():
            raise InvalidRequest(
                f"Invalid assistant: '{name}'. Must be either:\n- A valid assistant UUID, or\n"
                f"- One of the registered graphs: {', '.join(graphs.names())}"
            ) from None
        assistant_id = system_assistant_id(name)
    found = statements.get(Assistant, {"id": assistant_id})
    if found is None or found.deleted_at is not None:
        raise NotFound("Thread or assistant not found.")
    if found.user_id is not None and not belongs(found, principal, "assistants"):
        raise NotFound("Thread or assistant not found.")
    return found


def create_system_assistants(names: list[str]) -> None:
    """Create missing system assistants."""
    now = clock.now()
    assistants = [
        Assistant(
            id=system_assistant_id(name),
            graph_id=name,
            name=name,
            description=graphs.registration(name).description or None,
            metadata={"created_by": "system"},
            created_at=now,
            updated_at=now,
        )
        for name in names
    ]
    with transaction.atomic():
        Assistant.objects.bulk_create(assistants, ignore_conflicts=True)
        AssistantVersion.objects.bulk_create(
            [AssistantVersion.of(assistant) for assistant in assistants], ignore_conflicts=True
        )
