"""Bodies of the requests about threads."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from threads.api.extraction import MOST, parse_path
from threads.api.http import Schema
from threads.expiry import Ttl, parse_ttl
from threads.metadata import client_metadata, ensure_few
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
Metadata = Annotated[dict[str, Any], AfterValidator(client_metadata)]


def _parsed(paths: dict[str, str]) -> dict[str, str]:
    for path in paths.values():
        parse_path(path)
    return paths


#: Values and names of a condition on JSON. Each is looked for in each row that fulfils all other conditions.
MOST_WANTED = 100


def few(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return a condition that is small enough to be looked for. Raises ValueError."""
    ensure_few(wanted, MOST_WANTED)
    return wanted


Wanted = Annotated[dict[str, Any], AfterValidator(few)]
Paths = Annotated[dict[str, str], Field(max_length=MOST), AfterValidator(_parsed)]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=2**31 - 1)]
Status = Literal["idle", "busy", "interrupted", "error"]
Shown = Literal[
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "context",
    "status",
    "values",
    "interrupts",
    "error",
]


class StateUpdate(Schema):
    """One update of a superstep: what a node has returned, or a command."""

    values: Any = Field(None, description="What the node is taken to have returned.")
    command: dict[str, Any] | None = Field(
        None, description="`update`, `goto` and `resume`, instead of values."
    )
    as_node: str | None = Field(None, description="The node; `__input__` for a run's input.")


class Superstep(Schema):
    """Updates that take effect together."""

    updates: Annotated[list[StateUpdate], Field(min_length=1, max_length=100)]


class ThreadCreate(Schema):
    """A thread to be created."""

    thread_id: UUID | None = Field(
        None, description="The id that the thread gets; one is made if none is given."
    )
    metadata: Metadata = Field({}, description="Whatever the client wants to find the thread by.")
    if_exists: Literal["raise", "do_nothing"] = Field(
        "raise", description="What to do when the thread exists: refuse with 409, or return it as it is."
    )
    ttl: TimeToLive | None = Field(
        None, description="How long to keep the thread after the last thing that happens on it, in minutes."
    )
    supersteps: Annotated[list[Superstep], Field(max_length=1000)] = Field(
        [],
        description="Updates of the state that the thread begins with; `metadata.graph_id` names its graph.",
    )


class ThreadPatch(Schema):
    """What to change about a thread."""

    metadata: Metadata = Field({}, description="Added to what the thread has, key by key.")
    ttl: TimeToLive | None = Field(None, description="From now on instead of what it had.")


class ThreadFilter(Schema):
    """Which threads: those that fulfil everything that is said."""

    metadata: Wanted = Field({}, description="What their metadata contain.")
    values: Wanted = Field({}, description="What the values of their state contain.")
    status: Status | None = None


class ThreadSearch(ThreadFilter):
    """Which threads to list, in which order, and what of them."""

    ids: Annotated[list[UUID], Field(max_length=1000)] | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: Annotated[list[Shown], Field(max_length=100)] | None = Field(
        None, description="Only these fields."
    )
    extract: Paths = Field({}, description="Single values by their paths: `{alias: path}`.")


class ThreadPrune(Schema):
    """Threads to delete, or to shorten to their present state."""

    thread_ids: Annotated[list[UUID], Field(max_length=1000)]
    strategy: Literal["delete", "keep_latest"] = "delete"
