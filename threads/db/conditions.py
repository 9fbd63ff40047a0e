"""Conditions on JSON columns, with the same meaning on every database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
from django.db import connection
from django.db.models import BooleanField, F, Func, JSONField, Q, TextField, Value

from threads.db.values.json import SQLITE_FUNCTION, contains_text

#: Strings that every JSON encoder writes unescaped, and how many of them are searched for.
PLAIN, MOST = re.compile(r"[ !#-.0-\[\]-~]+"), 8


class Containing(Func):
    """Whether JSON text contains other JSON; it is parsed only if it contains the other's strings.

    Most rows of a search do not match, and searching for a string costs a twentieth of parsing.
    """

    output_field = BooleanField()

    def __init__(self, text: Any, wanted: Any, *, strings: tuple[str, ...]) -> None:
        super().__init__(text, wanted)
        self._strings = strings

    def _guarded(self, text: str, texts: list[Any], condition: str, parameters: list[Any], find: str) -> Any:
        needles = [f'"{string}"' for string in self._strings]
        if not needles:
            return condition, parameters
        having = " AND ".join([f"{find}({text}, %s) > 0"] * len(needles))
        given = [each for needle in needles for each in (*texts, needle)]
        return f"CASE WHEN {having} THEN {condition} ELSE false END", [*given, *parameters]

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """`@>`. A NUL character, which jsonb rejects, is replaced."""
        (text, texts), (wanted, given) = (compiler.compile(each) for each in self.get_source_expressions())
        condition = f"replace({text}, '\\u0000', '\\ufffd')::jsonb @> {wanted}::jsonb"
        return self._guarded(text, list(texts), condition, [*texts, *given], "strpos")

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """A function that is registered on the query's connection just before its execution."""
        connection.ensure_connection()
        connection.connection.create_function(SQLITE_FUNCTION, 2, contains_text, deterministic=True)
        (text, texts), (wanted, given) = (compiler.compile(each) for each in self.get_source_expressions())
        condition = f"{SQLITE_FUNCTION}({text}, {wanted})"
        return self._guarded(text, list(texts), condition, [*texts, *given], "instr")


def containing(column: str, wanted: dict[str, Any]) -> Q:
    """Rows whose JSON contains all that is wanted, as defined by PostgreSQL's `@>`."""
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__contains": wanted})
    return Q(Containing(F(column), Value(wanted, JSONField()), strings=_strings(wanted)))


def text_containing(column: str, wanted: dict[str, Any]) -> Q:
    """The same on a column of JSON as text, without an index.

    Rows where it is NULL do not match.
    """
    encoded = Value(orjson.dumps(wanted).decode(), TextField())
    return Q(Containing(F(column), encoded, strings=_strings(wanted)))


def _strings(wanted: Any) -> tuple[str, ...]:
    """Strings that every match contains: values first, because keys are more common."""
    found = dict.fromkeys([*_values(wanted), *_keys(wanted)])
    return tuple(each for each in found if PLAIN.fullmatch(each))[:MOST]


def _values(wanted: Any) -> Iterator[str]:
    if isinstance(wanted, str):
        yield wanted
    elif isinstance(wanted, dict | list):
        for value in wanted.values() if isinstance(wanted, dict) else wanted:
            yield from _values(value)


def _keys(wanted: Any) -> Iterator[str]:
    if isinstance(wanted, dict):
        yield from wanted
    if isinstance(wanted, dict | list):
        for value in wanted.values() if isinstance(wanted, dict) else wanted:
            yield from _keys(value)
