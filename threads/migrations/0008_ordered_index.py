from typing import Any

from django.db import migrations, models

TABLE = "threads_thread"
#: What a search on SQLite reads of each of somebody's threads, so that it finds the rows themselves only for its results.
SQLITE = {
    "threads_by_user": "user_id, created_at DESC, id DESC, metadata",
    # On PostgreSQL it would make each of a run's updates of its thread write to every index.
    "threads_by_update": "user_id, updated_at DESC, id DESC",
}
NEW = models.Index(
    fields=["user", "-created_at", "-id"],
    condition=models.Q(discarded_at__isnull=True),
    name="threads_by_user",
)
OLD = models.Index(fields=["user", "-created_at"], name="threads_by_user")


def drop(schema_editor: Any, name: str) -> None:
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP INDEX {concurrently}IF EXISTS {name}")


def create(apps: Any, schema_editor: Any) -> None:
    """In the order of a search, without what no search finds; on PostgreSQL built beside the server's writes."""
    # One whose building was broken off is there, and is never used.
    drop(schema_editor, NEW.name)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.add_index(apps.get_model("threads", "thread"), NEW, concurrently=True)
        return
    for name, columns in SQLITE.items():
        drop(schema_editor, name)
        schema_editor.execute(f"CREATE INDEX {name} ON {TABLE} ({columns}) WHERE discarded_at IS NULL")


def restore(apps: Any, schema_editor: Any) -> None:
    for name in SQLITE:
        drop(schema_editor, name)
    schema_editor.add_index(apps.get_model("threads", "thread"), OLD)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("threads", "0007_store")]
    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(create, restore)],
            [migrations.RemoveIndex("thread", "threads_by_user"), migrations.AddIndex("thread", NEW)],
        )
    ]
