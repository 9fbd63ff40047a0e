"""The ids of the system's assistants, one per graph. Pure."""

from __future__ import annotations

from uuid import UUID, uuid5

#: The reference server's namespace for system assistants: uuid5(namespace, graph name).
SYSTEM_ASSISTANTS = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


def system_assistant_id(graph: str) -> UUID:
    return uuid5(SYSTEM_ASSISTANTS, graph)
