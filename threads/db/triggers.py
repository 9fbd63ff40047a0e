"""Database triggers for columns that only grow: a mistake in any program cannot lower a fence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

POSTGRES = """
CREATE OR REPLACE FUNCTION {table}_{column}_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{table}.{column} only grows: % to % refused', OLD.{column}, NEW.{column}
    USING ERRCODE = 'check_violation'; END $$;
CREATE TRIGGER {table}_{column}_only_grows BEFORE UPDATE ON {table}
    FOR EACH ROW WHEN (NEW.{column} < OLD.{column}) EXECUTE FUNCTION {table}_{column}_only_grows();
"""
SQLITE = """
CREATE TRIGGER IF NOT EXISTS {table}_{column}_only_grows BEFORE UPDATE ON {table}
    FOR EACH ROW WHEN NEW.{column} < OLD.{column} BEGIN SELECT RAISE(ABORT, '{table}.{column} only grows'); END
"""


def only_grows(table: str, column: str) -> tuple[Callable[..., None], Callable[..., None]]:
    """The two functions of a `RunPython` operation: add the trigger, remove it."""

    def add(apps: Any, schema_editor: Any) -> None:
        template = POSTGRES if schema_editor.connection.vendor == "postgresql" else SQLITE
        schema_editor.execute(template.format(table=table, column=column), params=None)

    def remove(apps: Any, schema_editor: Any) -> None:
        on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER {table}_{column}_only_grows{on}", params=None)
        if on:
            schema_editor.execute(f"DROP FUNCTION {table}_{column}_only_grows()", params=None)

    return add, remove


def still_only_grows(table: str, *columns: str) -> Callable[..., None]:
    """For `RunPython` after an altered table, which SQLite recreates without its triggers."""

    def restore(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "sqlite":
            for column in columns:
                schema_editor.execute(SQLITE.format(table=table, column=column), params=None)

    return restore
