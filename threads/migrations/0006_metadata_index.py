from typing import Any

from django.db import migrations

NAME = "threads_by_metadata"


def create(apps: Any, schema_editor: Any) -> None:
    """Index metadata, to find a user's threads by it.

    Built concurrently with the server's writes.
    """
    if schema_editor.connection.vendor == "postgresql":
        # An interrupted build leaves an invalid index, which is never used.
        drop(apps, schema_editor)
        schema_editor.execute(
            f"CREATE INDEX CONCURRENTLY {NAME} ON threads_thread USING gin (metadata jsonb_path_ops)"
        )


def drop(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("threads", "0005_state_edits")]
    operations = [migrations.RunPython(create, drop)]
