"""The HTTP interface to tickets: one-time credentials of a thread's websocket."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from ninja import Router

from runs.identity import tickets
from runs.identity.requests import credentials_of
from threads.api.http import Request
from threads.db.database import in_database

router = Router(tags=["Agent streaming protocol"])


@router.post("/threads/{thread_id}/ticket", summary="Make a ticket for a thread's websocket")
async def create_ticket(request: Request, thread_id: UUID, response: HttpResponse) -> dict[str, Any]:
    """`ticket` opens one websocket on this thread, as the caller, within `expires_in` seconds:
    `/threads/{thread_id}/stream/events?ticket=…`.

    The thread may not exist yet.
    """
    response["Cache-Control"] = "no-store"
    headers = credentials_of(request).headers
    ticket = await in_database(tickets.create, request.auth.user_id, thread_id, headers)
    return {"ticket": ticket, "expires_in": tickets.LIFE}
