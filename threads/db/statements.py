"""The hot path's statements: one row by its columns, without the ORM's query construction.

Every run is admitted and settled once. The ORM constructs and compiles the same query each time,
which costs several times its execution; docs/reference/benchmarks.md has the figures. Values still
pass through the fields' conversions, so that both databases read and write what the ORM does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import Col

M = TypeVar("M", bound=models.Model)
#: A conversion from a row's value to the field's: the column's position, and the function.
Converters = list[tuple[int, Callable[[Any], Any]]]


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


def update_each(
    model: type[models.Model],
    rows: Sequence[Mapping[str, Any]],
    changes: Mapping[str, Any],
    *,
    by: Sequence[str] = ("id",),
    where: Mapping[str, Any] | None = None,
    kept: Collection[str] = (),
) -> set[Any]:
    """Update a row for each mapping, in one statement on PostgreSQL.

    Return the ids of updated rows.

    Args:
        rows: Attribute names and values; each has the same names, including `id`.
        changes: Changes that are the same for all rows.
        by: The names in a mapping that select its row; the others are changes.
        where: Further values that each row must have.
        kept: Names whose columns stay unchanged where the value is None.
    """
    where = where or {}
    if not rows:
        return set()
    if connection.vendor != "postgresql":
        return {row["id"] for row in rows if _update_one(model, row, changes, by, where, kept)}
    columns = _columns(model)
    names = tuple(rows[0])
    query = _update_each(model, names, tuple(changes), tuple(by), tuple(where), frozenset(kept))
    arrays = [[columns[name].get_db_prep_save(row[name], connection) for row in rows] for name in names]
    alike, wanted = (
        [columns[name].get_db_prep_save(value, connection) for name, value in each.items()]
        for each in (changes, where)
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [*alike, *arrays, *wanted])
        return {found for (found,) in cursor.fetchall()}


def _update_one(
    model: type[models.Model],
    row: Mapping[str, Any],
    changes: Mapping[str, Any],
    by: Sequence[str],
    where: Mapping[str, Any],
    kept: Collection[str],
) -> bool:
    own = {
        name: value for name, value in row.items() if name not in by and not (value is None and name in kept)
    }
    return update(model, {**own, **changes}, {**{name: row[name] for name in by}, **where})


def get(model: type[M], where: Mapping[str, Any], *, lock: bool = False) -> M | None:
    """Return the row whose columns equal all of `where`, or None.

    Args:
        lock: Lock it until the transaction ends; SQLite's `BEGIN IMMEDIATE` has already locked
            everything.
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
    return model.from_db("default", names, _converted(found, converters))


def among(
    model: type[models.Model],
    names: tuple[str, ...],
    values: Sequence[Any],
    *,
    of: str = "id",
    condition: str = "TRUE",
) -> list[tuple[Any, ...]]:
    """Return columns of the rows whose column `of` is among the values, under a condition.

    Each value is a parameter: for a few values, and for SQLite, which has no arrays.
    """
    if not values:
        return []
    query, converters = _among(model, names, of, len(values), condition)
    adapted = [_columns(model)[of].get_db_prep_save(value, connection) for value in values]
    with connection.cursor() as cursor:
        cursor.execute(query, adapted)
        return [tuple(_converted(row, converters)) for row in cursor.fetchall()]


def exists(model: type[models.Model], condition: str, values: Mapping[str, Any]) -> bool:
    """Whether a row matches an SQL condition.

    Its placeholders take the named columns' values, in order.
    """
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
def _update_each(
    model: type[models.Model],
    names: tuple[str, ...],
    changes: tuple[str, ...],
    by: tuple[str, ...],
    where: tuple[str, ...],
    kept: frozenset[str],
) -> str:
    columns = _columns(model)
    quoted = {name: f'"{columns[name].column}"' for name in names}
    assignments = [f'"{columns[name].column}" = %s' for name in changes] + [
        f"{column} = coalesce(v.{column}, t.{column})" if name in kept else f"{column} = v.{column}"
        for name, column in quoted.items()
        if name not in by
    ]
    conditions = [f"t.{quoted[name]} = v.{quoted[name]}" for name in by]
    conditions += [f't."{columns[name].column}" = %s' for name in where]
    # `%b`: arrays are sent in binary; for text, psycopg escapes each element by regular expressions.
    arrays = ", ".join(f"%b::{_array_of(columns[name])}" for name in names)
    return (
        f'UPDATE "{model._meta.db_table}" t SET {", ".join(assignments)} '
        f"FROM unnest({arrays}) AS v({', '.join(quoted.values())}) "
        f"WHERE {' AND '.join(conditions)} RETURNING t.id"
    )


def _array_of(field: models.Field[Any, Any]) -> str:
    """The array type of a column, without length, because a cast would truncate longer values."""
    return f"{(field.db_type(connection) or '').partition('(')[0]}[]"


@functools.cache
def _select(
    model: type[models.Model], where: tuple[str, ...], lock: bool
) -> tuple[str, list[str], Converters]:
    columns = _columns(model)
    names = ", ".join(f'"{field.column}"' for field in columns.values())
    query = f'SELECT {names} FROM "{model._meta.db_table}" WHERE {_conditions(columns, where)}'
    return query + (" FOR UPDATE" if lock else ""), list(columns), _converters(model, tuple(columns))


@functools.cache
def _among(
    model: type[models.Model], names: tuple[str, ...], of: str, count: int, condition: str
) -> tuple[str, Converters]:
    columns = _columns(model)
    wanted = ", ".join(f'"{columns[name].column}"' for name in names)
    marks = ", ".join(["%s"] * count)
    return (
        f'SELECT {wanted} FROM "{model._meta.db_table}" WHERE "{columns[of].column}" IN ({marks}) AND {condition}',
        _converters(model, names),
    )


def _converters(model: type[models.Model], names: tuple[str, ...]) -> Converters:
    converters: Converters = []
    for index, name in enumerate(names):
        # A foreign key's values are converted like the referenced column's.
        expression = _columns(model)[name].get_col(model._meta.db_table)
        found = (*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection))
        converters += [(index, functools.partial(_convert, convert, expression)) for convert in found]
    return converters


def _converted(found: Sequence[Any], converters: Converters) -> list[Any]:
    row = list(found)
    for index, convert in converters:
        row[index] = convert(row[index])
    return row


def _convert(convert: Callable[..., Any], expression: Col, value: Any) -> Any:
    return convert(value, expression, connection)


def _conditions(columns: Mapping[str, models.Field[Any, Any]], where: tuple[str, ...]) -> str:
    return " AND ".join(f'"{columns[name].column}" = %s' for name in where)
