from typing import Any

from django.conf import settings
from django.db import migrations, models

ENDED_BADLY = models.Index(
    fields=["status", "-id"],
    condition=models.Q(("status__in", ("error", "timeout", "interrupted"))),
    name="runs_ended_badly",
)
OF_USER = models.Index(fields=["user", "-id"], name="runs_of_user")
INDEXES = (ENDED_BADLY, OF_USER)


def create(apps: Any, schema_editor: Any) -> None:
    """On PostgreSQL built concurrently, because the table of runs may be large and is written all the time."""
    restore(apps, schema_editor)
    concurrently = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    for index in INDEXES:
        schema_editor.add_index(apps.get_model("runs", "run"), index, **concurrently)


def restore(apps: Any, schema_editor: Any) -> None:
    # An interrupted build leaves an invalid index, which is never used.
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    for index in INDEXES:
        schema_editor.execute(f"DROP INDEX {concurrently}IF EXISTS {index.name}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0019_usage"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(create, restore)], [migrations.AddIndex("run", index) for index in INDEXES]
        )
    ]
