"""The header `Idempotency-Key` of requests that create something."""

from __future__ import annotations

from typing import Annotated

from ninja import Header

from runs.requests.idempotency import HEADER, LONGEST, Once, of_request
from threads.api.http import Request

IdempotencyKey = Annotated[
    str | None,
    Header(
        None,
        alias=HEADER,
        description="A client's own name for this request. A repeated request creates nothing, and gets the first one's "
        f"answer; another request with the same key is a 409. At most {LONGEST} characters.",
    ),
]


def once(request: Request, key: str | None) -> Once | None:
    """The request with its key, if it has one. Raises InvalidRequest."""
    return of_request(request, request.auth.user_id) if key is not None else None
