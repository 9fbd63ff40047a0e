"""Finding the assistant that a client names, and the system assistants, one per graph."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from runs import graphs
from runs.exceptions import InvalidRequest, NotFound
from runs.graphs.system_assistants import system_assistant_id
from runs.models import Assistant, AssistantVersion
from threads.db import clock, statements
from threads.db.ids import UserId


def find_assistant(name: str, *, user_id: UserId) -> Assistant:
    """The assistant with this id, or a graph's system assistant by the graph's name."""
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
    if found is None or found.deleted_at is not None or found.user_id not in (None, user_id):
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
