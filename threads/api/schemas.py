"""Bodies of the requests about threads."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from threads.api.http import Schema
from threads.expiry import Ttl, parse_ttl
from threads.models import TtlStrategy

TimeToLive = Annotated[
    Ttl,
    BeforeValidator(parse_ttl),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {
                    "type": "object",
                    "properties": {
                        "ttl": {"type": "number", "exclusiveMinimum": 0},
                        "strategy": {"enum": TtlStrategy.values, "default": TtlStrategy.DELETE},
                    },
                    "required": ["ttl"],
                },
            ]
        }
    ),
]


class ThreadCreate(Schema):
    """A thread to be created."""

    thread_id: UUID | None = Field(
        None, description="The id that the thread gets; one is made if none is given."
    )
    metadata: dict[str, Any] = Field({}, description="Whatever the client wants to find the thread by.")
    if_exists: Literal["raise", "do_nothing"] = Field(
        "raise", description="What to do when the thread exists: refuse with 409, or return it as it is."
    )
    ttl: TimeToLive | None = Field(
        None, description="How long to keep the thread after the last thing that happens on it, in minutes."
    )
    supersteps: Any = Field(None, description="Not supported yet.")
