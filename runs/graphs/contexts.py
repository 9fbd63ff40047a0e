"""A run's context in the form that its graph, or the factory of its graph, declares. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def fitting(context: Mapping[str, Any] | None, schema: Any) -> dict[str, Any] | None:
    """The part of a run's context that its graph accepts; None if the graph has no context class
    and none was given.

    A class is also instantiated without values, with its defaults. A class that requires a value
    fails the run, as on the reference server. Names that the class does not have are left out,
    because a context also comes from `configurable`, which may hold anything.
    """
    given = dict(context or {})
    if dataclasses.is_dataclass(schema):
        known = {each.name for each in dataclasses.fields(schema) if each.init}
    elif isinstance(schema, type) and issubclass(schema, BaseModel):
        if not _refuses_others(schema):
            return given
        known = {name for field, each in schema.model_fields.items() for name in (field, each.alias) if name}
    else:
        return given or None
    return {name: value for name, value in given.items() if name in known}


def _refuses_others(schema: type[BaseModel]) -> bool:
    return schema.model_config.get("extra") == "forbid"


def typed(context: Mapping[str, Any] | None, schema: Any) -> Any:
    """A run's context as an object of its class, which may be a dataclass or a pydantic model; of others as it is.

    Raises what the class raises for values that it does not accept.
    """
    is_class = isinstance(schema, type) and (
        dataclasses.is_dataclass(schema) or issubclass(schema, BaseModel)
    )
    return schema(**(fitting(context, schema) or {})) if is_class else context
