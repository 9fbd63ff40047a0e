"""Assistants: lookup by a client's name for them, versions, and drawings of their graphs."""

from __future__ import annotations

from runs.assistants.lookup import create_system_assistants, find_assistant
from runs.graphs.system_assistants import SYSTEM_ASSISTANTS, system_assistant_id

__all__ = ["SYSTEM_ASSISTANTS", "create_system_assistants", "find_assistant", "system_assistant_id"]
