from typing import Any

from django.db import migrations, models

TABLE = "threads_thread"
#: The columns that a search on SQLite reads of each of a user's threads, so that it loads the rows only of
#: its results.
SQLITE = {
    "threads_by_user": "user_id, created_at DESC, id DESC, metadata",
    # On PostgreSQL it would make every update of a thread by a run write to every index.
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
    """Index threads in search order, without hidden ones.

    On PostgreSQL built concurrently with writes.
    """
    # An interrupted build leaves an invalid index, which is never used.
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
