"""Request bodies of the thread routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from threads.api.extraction import MOST, parse_path
from threads.api.http import Schema
from threads.expiry import Ttl, parse_ttl
from threads.metadata import MOST_METADATA, client_metadata, ensure_few
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


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    ensure_few(value, MOST_METADATA)
    return value


#: Configurations and metadata. They are copied, merged and searched for secrets value by value.
Configuration = Annotated[dict[str, Any], AfterValidator(_bounded)]


def at_most(most: int) -> BeforeValidator:
    """Refuse a larger object before its values are validated: each of them could be an error."""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > most:
            raise ValueError(f"dictionary should have at most {most} items")
        return value

    return BeforeValidator(check)


def _parsed(paths: dict[str, str]) -> dict[str, str]:
    for path in paths.values():
        parse_path(path)
    return paths


#: The most characters of a text to search for.
LONGEST_TEXT = 256
#: The most values and names in a condition on JSON. Each is searched in each row that matches all other
#: conditions.
MOST_WANTED = 100


def few(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the condition if it is small enough to search by. Raises ValueError."""
    ensure_few(wanted, MOST_WANTED)
    return wanted


Wanted = Annotated[dict[str, Any], AfterValidator(few)]
Paths = Annotated[dict[str, str], Field(max_length=MOST), AfterValidator(_parsed), at_most(MOST)]
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


#: Maximum supersteps of a new thread, and maximum updates of all of them.
MOST_STEPS, MOST_UPDATES = 1000, 1000


def _few_updates(steps: Any) -> Any:
    """Refuse too many updates before each of them is validated."""
    updates = (
        [step.get("updates") for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    )
    if sum(len(each) for each in updates if isinstance(each, list)) > MOST_UPDATES:
        raise ValueError(f"should have at most {MOST_UPDATES} updates together")
    return steps


class StateUpdate(Schema):
    """One update of a superstep: the return value of a node, or a command."""

    values: Any = Field(None, description="The values, as if the node had returned them.")
    command: dict[str, Any] | None = Field(
        None, description="`update`, `goto` and `resume`, instead of values."
    )
    as_node: str | None = Field(None, description="The node; `__input__` for a run's input.")


class Superstep(Schema):
    """Updates that take effect together."""

    updates: Annotated[list[StateUpdate], Field(min_length=1, max_length=100)]


class ThreadCreate(Schema):
    """A thread to be created."""

    thread_id: UUID | None = Field(None, description="The thread's id; generated if omitted.")
    metadata: Metadata = Field({}, description="Any values by which the client wants to find the thread.")
    if_exists: Literal["raise", "do_nothing"] = Field(
        "raise", description="What to do when the thread exists: answer 409, or return it unchanged."
    )
    ttl: TimeToLive | None = Field(
        None, description="How long to keep the thread after its last activity, in minutes."
    )
    supersteps: Annotated[list[Superstep], Field(max_length=MOST_STEPS), BeforeValidator(_few_updates)] = (
        Field(
            [],
            description="Updates that make the thread's initial state; `metadata.graph_id` names its graph.",
        )
    )


class ThreadPatch(Schema):
    """Changes of a thread."""

    metadata: Metadata = Field({}, description="Merged into the thread's metadata, key by key.")
    ttl: TimeToLive | None = Field(None, description="Replaces the thread's time to live, from now on.")


class ThreadFilter(Schema):
    """Selects threads that match all given conditions."""

    metadata: Wanted = Field({}, description="Their metadata must contain this.")
    values: Wanted = Field({}, description="The values of their state must contain this.")
    status: Status | None = None
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] = Field(
        "",
        description="Words of their titles and messages, or the beginnings of words; all must be there. "
        "Each result has `found`: its `title`, and a `snippet` in pieces, of which every second one is a match.",
    )


class ThreadSearch(ThreadFilter):
    """Which threads to list, their order, and the fields to return."""

    ids: Annotated[list[UUID], Field(max_length=1000)] | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: Annotated[list[Shown], Field(max_length=100)] | None = Field(
        None, description="Only these fields."
    )
    extract: Paths = Field({}, description="Single values to return, by path: `{alias: path}`.")


class ThreadPrune(Schema):
    """Threads to delete, or to prune to their current state."""

    thread_ids: Annotated[list[UUID], Field(max_length=1000)]
    strategy: Literal["delete", "keep_latest"] = "delete"
