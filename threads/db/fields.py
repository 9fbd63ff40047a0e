"""JSON columns for values that graphs and clients send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from threads.db.values.plain import plain

if TYPE_CHECKING:
    AnyTextField = models.TextField[Any, Any]
else:
    AnyTextField = models.TextField


class Encoded(str):
    """Text that is already JSON."""

    __slots__ = ()


def _converted(value: Any) -> Any:
    """An object of a graph as JSON: a run must not stay unsettled because of what its state holds."""
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else str(value)


class TextJSONField(AnyTextField):
    """JSON kept as the text that was written; the database neither parses nor reorders it.

    For payloads that no query inspects; lone surrogates are replaced. A jsonb column would reorder keys, reject NUL, and cost a
    parse.
    """

    # The attribute's type for the type checker; a text field's would be `str`.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return None if value is None else orjson.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None or isinstance(value, Encoded):
            return value
        try:
            return orjson.dumps(value, default=_converted).decode()
        except (TypeError, ValueError, RecursionError):
            return orjson.dumps(plain(value, _converted)).decode()
