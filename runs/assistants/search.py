"""Queries for assistants, and for the versions of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from runs.exceptions import NotFound
from runs.models import Assistant, AssistantVersion
from threads.api.pages import rows_of_page
from threads.db.conditions import containing
from threads.models.querysets import Principal

#: Columns that can be large, because clients fill them.
LARGE = ("config", "context")


def get_assistant(assistant_id: UUID, *, principal: Principal) -> Assistant:
    """The principal's assistant or a system assistant. Raises NotFound."""
    assistant = Assistant.objects.for_principal(principal).filter(id=assistant_id).first()
    if assistant is None:
        raise NotFound
    return assistant


def matching(
    *, graph_id: str | None, name: str | None, metadata: Mapping[str, Any], principal: Principal
) -> QuerySet[Assistant]:
    """The assistants that the principal may see and that fulfil all conditions."""
    assistants: QuerySet[Assistant] = Assistant.objects.for_principal(principal)
    if graph_id is not None:
        assistants = assistants.filter(graph_id=graph_id)
    if name is not None:
        assistants = assistants.filter(name__icontains=name)
    if metadata:
        assistants = assistants.filter(containing("metadata", dict(metadata)))
    return assistants


def count(**conditions: Any) -> int:
    return matching(**conditions).count()


def page(
    *, limit: int, offset: int, sort_by: str, sort_order: str, **conditions: Any
) -> tuple[list[Assistant], bool]:
    """One page of assistants, and whether there are more."""
    column = "id" if sort_by == "assistant_id" else sort_by
    sign = "-" if sort_order == "desc" else ""
    ordered = matching(**conditions).order_by(sign + column, sign + "id")
    return rows_of_page(ordered, offset=offset, limit=limit, large=LARGE)


def versions(
    assistant_id: UUID, *, metadata: Mapping[str, Any], limit: int, offset: int, principal: Principal
) -> list[AssistantVersion]:
    """The versions of an assistant, newest first. Raises NotFound."""
    if not Assistant.objects.for_principal(principal).filter(id=assistant_id).exists():
        raise NotFound(f"Assistant {assistant_id} not found")
    found = AssistantVersion.objects.filter(assistant_id=assistant_id)
    if metadata:
        found = found.filter(containing("metadata", dict(metadata)))
    shown, _ = rows_of_page(found.order_by("-version"), offset=offset, limit=limit, large=LARGE)
    return shown
