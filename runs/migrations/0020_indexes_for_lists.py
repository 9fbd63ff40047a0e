from typing import Any

from django.db import migrations, models

ENDED_BADLY = models.Index(
    fields=["status", "-id"],
    condition=models.Q(("status__in", ("error", "timeout", "interrupted"))),
    name="runs_ended_badly",
)
#: On PostgreSQL alone: SQLite, which has no statistics, would prefer it to the indexes of runs that wait.
OF_USER = "runs_of_user"


def create(apps: Any, schema_editor: Any) -> None:
    """On PostgreSQL built concurrently, because the table of runs may be large and is written all the time."""
    restore(apps, schema_editor)
    concurrently = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    schema_editor.add_index(apps.get_model("runs", "run"), ENDED_BADLY, **concurrently)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"CREATE INDEX CONCURRENTLY {OF_USER} ON runs_run (user_id, id DESC)")


def restore(apps: Any, schema_editor: Any) -> None:
    # An interrupted build leaves an invalid index, which is never used.
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    for name in (ENDED_BADLY.name, OF_USER):
        schema_editor.execute(f"DROP INDEX {concurrently}IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0019_usage")]
    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(create, restore)], [migrations.AddIndex("run", ENDED_BADLY)]
        )
    ]
