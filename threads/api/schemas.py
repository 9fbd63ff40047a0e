"""Bodies of the requests about threads."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from threads.api.http import Schema


class ThreadCreate(Schema):
    """A thread to be created."""

    thread_id: UUID | None = Field(
        None, description="The id that the thread gets; one is made if none is given."
    )
    metadata: dict[str, Any] = Field({}, description="Whatever the client wants to find the thread by.")
    if_exists: Literal["raise", "do_nothing"] = Field(
        "raise", description="What to do when the thread exists: refuse with 409, or return it as it is."
    )
    ttl: Any = Field(None, description="Not supported yet.")
    supersteps: Any = Field(None, description="Not supported yet.")
