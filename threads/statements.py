"""The hot path's statements: one row by its columns, without the ORM's composition.

Every run is admitted and settled once. The ORM composes and compiles an equal query anew each time, which costs several
times what the database needs for it; docs/benchmarks.md has the figures. Values and rows still pass through the
fields' own conversions, so that both databases read and write what the ORM does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import Col

M = TypeVar("M", bound=models.Model)


def insert(instance: models.Model) -> None:
    """Insert one row; raises IntegrityError like the ORM."""
    query, fields = _insert(type(instance))
    _execute(
        query, [field.get_db_prep_save(getattr(instance, field.attname), connection) for field in fields]
    )
    instance._state.adding = False


def update(model: type[models.Model], changes: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Update the row whose columns equal all of `where`; return whether there was one.

    Keys are attribute names (`worker_id`, not `worker`).
    """
    columns = _columns(model)
    query = _update(model, tuple(changes), tuple(where))
    values = [
        columns[name].get_db_prep_save(value, connection)
        for name, value in (*changes.items(), *where.items())
    ]
    return _execute(query, values) == 1


def get(model: type[M], where: Mapping[str, Any], *, lock: bool = False) -> M | None:
    """Return the row whose columns equal all of `where`, or None.

    Args:
        lock: Lock it until the transaction ends; SQLite's `BEGIN IMMEDIATE` has locked everything already.
    """
    columns = _columns(model)
    query, names, converters = _select(
        model, tuple(where), lock and connection.features.has_select_for_update
    )
    values = [columns[name].get_db_prep_save(value, connection) for name, value in where.items()]
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        found = cursor.fetchone()
    if found is None:
        return None
    row = list(found)
    for index, convert in converters:
        row[index] = convert(row[index])
    return model.from_db("default", names, row)


def exists(model: type[models.Model], condition: str, values: Mapping[str, Any]) -> bool:
    """Whether a row fulfils an SQL condition; its placeholders are the values of the named columns, in their order."""
    columns = _columns(model)
    adapted = [columns[name].get_db_prep_save(value, connection) for name, value in values.items()]
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT 1 FROM "{model._meta.db_table}" WHERE {condition} LIMIT 1', adapted)
        return cursor.fetchone() is not None


def _execute(query: str, values: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return int(cursor.rowcount)


@functools.cache
def _columns(model: type[models.Model]) -> dict[str, models.Field[Any, Any]]:
    return {field.attname: field for field in model._meta.concrete_fields}


@functools.cache
def _insert(model: type[models.Model]) -> tuple[str, list[models.Field[Any, Any]]]:
    fields = list(_columns(model).values())
    names = ", ".join(f'"{field.column}"' for field in fields)
    return (
        f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({", ".join(["%s"] * len(fields))})',
        fields,
    )


@functools.cache
def _update(model: type[models.Model], changes: tuple[str, ...], where: tuple[str, ...]) -> str:
    columns = _columns(model)
    assignments = ", ".join(f'"{columns[name].column}" = %s' for name in changes)
    return f'UPDATE "{model._meta.db_table}" SET {assignments} WHERE {_conditions(columns, where)}'


@functools.cache
def _select(
    model: type[models.Model], where: tuple[str, ...], lock: bool
) -> tuple[str, list[str], list[tuple[int, Callable[[Any], Any]]]]:
    columns = _columns(model)
    names = ", ".join(f'"{field.column}"' for field in columns.values())
    query = f'SELECT {names} FROM "{model._meta.db_table}" WHERE {_conditions(columns, where)}'
    converters: list[tuple[int, Callable[[Any], Any]]] = []
    for index, field in enumerate(columns.values()):
        expression = Col(model._meta.db_table, field)
        found = (*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection))
        converters += [(index, functools.partial(_convert, convert, expression)) for convert in found]
    return query + (" FOR UPDATE" if lock else ""), list(columns), converters


def _convert(convert: Callable[..., Any], expression: Col, value: Any) -> Any:
    return convert(value, expression, connection)


def _conditions(columns: Mapping[str, models.Field[Any, Any]], where: tuple[str, ...]) -> str:
    return " AND ".join(f'"{columns[name].column}" = %s' for name in where)
