"""Bodies of the requests about assistants."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from runs.exceptions import InvalidRequest
from runs.requests.bodies import MOST_FIELDS, Limit, Offset, SortOrder
from threads.api.http import Schema
from threads.api.schemas import Configuration, Wanted

Shown = Literal[
    "assistant_id",
    "graph_id",
    "name",
    "description",
    "config",
    "context",
    "metadata",
    "created_at",
    "updated_at",
    "version",
]
GraphId = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(max_length=255)]
DESCRIPTION = "`tags`, `recursion_limit`, `max_concurrency` and `configurable`; the rest is ignored."
NUMBER = re.compile(r"0*([1-9][0-9]{0,3})")


def _xray(value: Any) -> int | bool:
    text = str(value).strip().lower()
    if text in ("true", "false", "0", ""):
        return text == "true"
    if (number := NUMBER.fullmatch(text)) is None:
        raise InvalidRequest("Invalid xray value")
    return int(number[1])


#: Whether to expand subgraphs, or to how many levels.
Xray = Annotated[
    Any,
    BeforeValidator(_xray),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 9999}]}),
]


class AssistantPatch(Schema):
    """Changes to an assistant. Absent fields are kept; metadata is merged."""

    graph_id: GraphId | None = Field(None, description="The name of a registered graph.")
    config: Configuration | None = Field(None, description=DESCRIPTION)
    context: Configuration | None = Field(None, description="The same values as `config.configurable`.")
    metadata: Configuration | None = Field(
        None, description="Arbitrary values by which the assistant can be found."
    )
    name: Name | None = None
    description: str | None = None

    def given(self) -> dict[str, Any]:
        """The fields that the client sent; null counts as absent."""
        named = ("graph_id", "config", "context", "metadata", "name", "description")
        return {name: value for name in named if (value := getattr(self, name)) is not None}


class AssistantCreate(AssistantPatch):
    """An assistant to be created."""

    graph_id: GraphId = Field(description="The name of a registered graph.")
    assistant_id: UUID | None = Field(None, description="The assistant's id; generated if absent.")
    if_exists: Literal["raise", "do_nothing"] = Field(
        "raise", description="What to do when the assistant exists: refuse with 409, or return it as it is."
    )


class AssistantCount(Schema):
    """Which assistants to count."""

    metadata: Wanted = Field({}, description="What their metadata must contain.")
    graph_id: str | None = None
    name: Name | None = Field(None, description="A part of the name; case is ignored.")

    def conditions(self) -> dict[str, Any]:
        return {"metadata": self.metadata, "graph_id": self.graph_id, "name": self.name}


class AssistantSearch(AssistantCount):
    """Which assistants to list."""

    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["assistant_id", "created_at", "updated_at", "name", "graph_id"] = "created_at"
    sort_order: SortOrder = "desc"
    select: Annotated[list[Shown], Field(max_length=MOST_FIELDS)] | None = None


class VersionSearch(Schema):
    """Which versions of an assistant to list."""

    metadata: Wanted = Field({}, description="What their metadata must contain.")
    limit: Limit = 10
    offset: Offset = 0


class LatestVersion(Schema):
    """The version to make the latest one."""

    version: int = Field(ge=1, le=2**31 - 1)
