from typing import Any

from django.db import migrations, models

INDEX = models.Index(fields=["namespace", "key"], name="store_items_by_place")


def create(apps: Any, schema_editor: Any) -> None:
    """On PostgreSQL built concurrently with writes."""
    restore(apps, schema_editor)
    concurrently = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    schema_editor.add_index(apps.get_model("threads", "storeitem"), INDEX, **concurrently)


def restore(apps: Any, schema_editor: Any) -> None:
    # An interrupted build leaves an invalid index, which is never used.
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP INDEX {concurrently}IF EXISTS {INDEX.name}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("threads", "0010_thread_text")]
    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(create, restore)], [migrations.AddIndex("storeitem", INDEX)]
        )
    ]
