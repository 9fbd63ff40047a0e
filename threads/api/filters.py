"""Conditions on JSON columns that mean the same on every database."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import connection
from django.db.models import BooleanField, F, Func, JSONField, Q, TextField, Value
from django.db.models.functions import Cast

from threads.containment import SQLITE_FUNCTION, contains_text


class TextContains(Func):
    """`@>` on JSON that is kept as text. A NUL character, which jsonb does not take, is another one for it."""

    template = "replace(%(text)s, '\\u0000', '\\ufffd')::jsonb @> %(wanted)s::jsonb"
    output_field = BooleanField()

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        (text, _), (wanted, parameters) = (compiler.compile(each) for each in self.get_source_expressions())
        return self.template % {"text": text, "wanted": wanted}, parameters


class ContainsByFunction(Func):
    """The same on SQLite, by a function that the query's own connection learns when the query is about to be executed."""

    function = SQLITE_FUNCTION
    output_field = BooleanField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        connection.ensure_connection()
        connection.connection.create_function(SQLITE_FUNCTION, 2, contains_text, deterministic=True)
        return super().as_sql(compiler, connection, **extra)


def containing(column: str, wanted: dict[str, Any]) -> Q:
    """Rows whose JSON has everything that is wanted, as PostgreSQL's `@>` says."""
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__contains": wanted})
    return _by_function(column, Value(wanted, JSONField()))


def text_containing(column: str, wanted: dict[str, Any]) -> Q:
    """The same on a column of JSON as text, which no index answers. A row that has nothing there is none of them."""
    encoded = Value(orjson.dumps(wanted).decode(), TextField())
    if connection.vendor == "postgresql":
        return Q(TextContains(F(column), encoded))
    return _by_function(column, encoded)


def _by_function(column: str, wanted: Value) -> Q:
    return Q(ContainsByFunction(Cast(F(column), TextField()), wanted))
