"""Bodies and parameters of the requests about threads' states."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import orjson
from ninja import Query
from pydantic import AfterValidator, Field

from runs.exceptions import InvalidRequest
from runs.requests.bodies import MOST_FIELDS
from runs.requests.checkpoint import MOST_PLACES, checkpoint_namespace, checkpoint_uuid
from threads.api.http import Schema
from threads.api.schemas import Configuration, Limit, Wanted, at_most

#: The fields of a state that a client may choose.
FIELDS = frozenset(
    [
        "values",
        "next",
        "tasks",
        "checkpoint",
        "metadata",
        "created_at",
        "parent_checkpoint",
        "interrupts",
        "checkpoint_id",
        "parent_checkpoint_id",
    ]
)
VALUE = "values."

Select = Annotated[list[str], Query([], description="Only these fields; `values.<key>` selects one value.")]


Namespace = Annotated[str, AfterValidator(checkpoint_namespace)]


class Address(Schema):
    """The address of a checkpoint, or of a subgraph's latest one.

    The thread is the one in the path.
    """

    checkpoint_id: UUID | None = None
    checkpoint_ns: Namespace = ""
    checkpoint_map: (
        Annotated[dict[Namespace, UUID], Field(max_length=MOST_PLACES), at_most(MOST_PLACES)] | None
    ) = None

    def place(self) -> dict[str, Any]:
        """LangGraph's form of the address. A namespace's checkpoint id may be in the map alone."""
        found: dict[str, Any] = {"checkpoint_ns": self.checkpoint_ns}
        if self.checkpoint_map:
            found["checkpoint_map"] = {ns: str(name) for ns, name in self.checkpoint_map.items()}
        name = self.checkpoint_id or (self.checkpoint_map or {}).get(self.checkpoint_ns)
        if name is not None:
            found["checkpoint_id"] = str(name)
        return found


class StateAt(Schema):
    """Which state to read."""

    checkpoint: Address
    subgraphs: bool = False
    select: Annotated[list[str], Field(max_length=MOST_FIELDS)] | None = None


class UpdateRequest(Schema):
    """Values to apply as if a node had returned them."""

    values: Any = Field(None, description="The values; null without a node copies the checkpoint.")
    as_node: str | None = Field(None, description="The node; by default the one that wrote last.")
    checkpoint: Address | None = Field(None, description="The checkpoint to fork the thread from.")
    checkpoint_id: UUID | None = Field(None, description="The same, by the checkpoint's id alone.")


class MetadataPatch(Schema):
    """What to add to a checkpoint's metadata."""

    metadata: Configuration
    checkpoint: Address | None = None


class HistoryRequest(Schema):
    """Which states to list."""

    limit: Limit = 10
    before: str | dict[str, Any] | None = Field(
        None, description="Only states older than this checkpoint: its id, its address, or a config with it."
    )
    metadata: Wanted = Field({}, description="What the checkpoints' metadata must contain.")
    checkpoint: Address | None = Field(None, description="The namespace of a subgraph.")
    select: Annotated[list[str], Field(max_length=MOST_FIELDS)] | None = None


def before_id(before: str | dict[str, Any] | None) -> str | None:
    """The checkpoint's id from any form that clients send: an id, an address, a config, or JSON."""
    if isinstance(before, str) and before.lstrip().startswith("{"):
        try:
            before = orjson.loads(before)
        except orjson.JSONDecodeError:
            raise InvalidRequest("before must be a checkpoint's id, or its address.") from None
    if isinstance(before, dict):
        inner = before.get("configurable", before)
        before = inner.get("checkpoint_id") if isinstance(inner, dict) else None
        if before is None:
            raise InvalidRequest("before must name a checkpoint by its checkpoint_id.")
    return checkpoint_uuid(before) if before is not None else None


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields of a state that a client wants; all by default."""

    fields: frozenset[str]
    #: Keys of the values; None for all, if the values are wanted.
    values: frozenset[str] | None

    def of(self, state: dict[str, Any]) -> dict[str, Any]:
        if not self.fields:
            return state
        chosen = {name: each for name, each in state.items() if name in self.fields}
        if self.values is not None and isinstance(state["values"], dict):
            chosen["values"] = {key: each for key, each in state["values"].items() if key in self.values}
        return chosen


def selection(names: Collection[str]) -> Selection:
    """Parse a client's selection: repeated or comma-separated.

    Raises InvalidRequest for unknown fields.
    """
    wanted = {name for text in names for name in text.split(",") if name}
    keys = {name.removeprefix(VALUE) for name in wanted if name.startswith(VALUE)}
    fields = {name for name in wanted if not name.startswith(VALUE)} | ({"values"} if keys else set())
    if unknown := sorted(fields - FIELDS):
        raise InvalidRequest(f"select: {unknown[0]!r} is no field of a state.")
    return Selection(frozenset(fields), None if "values" in wanted or not keys else frozenset(keys))
