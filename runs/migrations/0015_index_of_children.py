from typing import Any

from django.db import migrations, models

INDEX = models.Index(condition=models.Q(("parent__isnull", False)), fields=["parent"], name="runs_children")


def create(apps: Any, schema_editor: Any) -> None:
    """On PostgreSQL built concurrently, because the table of runs may be large and is written all the time."""
    restore(apps, schema_editor)
    concurrently = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    schema_editor.add_index(apps.get_model("runs", "run"), INDEX, **concurrently)


def restore(apps: Any, schema_editor: Any) -> None:
    # An interrupted build leaves an invalid index, which is never used.
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP INDEX {concurrently}IF EXISTS {INDEX.name}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0014_admin_pages")]
    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(create, restore)], [migrations.AddIndex("run", INDEX)]
        )
    ]
