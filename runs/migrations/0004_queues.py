"""Queues and priorities, and the indexes of fair claims. Old code goes on beside it: new columns have database defaults."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.models import CASCADE, SET_NULL, Q

from threads.db.fields import TextJSONField
from threads.db.triggers import still_only_grows

FOREIGN_KEYS: list[tuple[str, str, dict[str, Any]]] = [
    ("thread", "threads.thread", {"on_delete": CASCADE, "related_name": "runs"}),
    ("user", settings.AUTH_USER_MODEL, {"on_delete": CASCADE, "related_name": "+"}),
    ("worker", "runs.worker", {"on_delete": SET_NULL, "related_name": "runs", "null": True}),
]


def drop_indexes(apps: Any, schema_editor: Any) -> None:
    """Drop these foreign keys' own indexes by name: `AlterField` would drop the unique partial one beside them too."""
    for name, *_ in FOREIGN_KEYS:
        index = schema_editor._create_index_name("runs_run", [f"{name}_id"])
        schema_editor.execute(f'DROP INDEX IF EXISTS "{index}"')


def create_indexes(apps: Any, schema_editor: Any) -> None:
    for name, *_ in FOREIGN_KEYS:
        index = schema_editor._create_index_name("runs_run", [f"{name}_id"])
        schema_editor.execute(f'CREATE INDEX "{index}" ON runs_run ({name}_id)')


class Migration(migrations.Migration):
    dependencies = [("runs", "0003_operate_run"), ("threads", "0002_epoch_only_grows")]

    operations = [
        migrations.AddField("run", "priority", models.SmallIntegerField(default=0, db_default=0)),
        migrations.AddField(
            "run", "queue", models.CharField(max_length=64, default="default", db_default="default")
        ),
        migrations.AddField("worker", "queues", TextJSONField(null=True)),
        # The indexes of the model begin with these or are partial; each index of a run costs every run an insertion.
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_indexes, create_indexes)],
            state_operations=[
                migrations.AlterField("run", name, models.ForeignKey(target, db_index=False, **options))
                for name, target, options in FOREIGN_KEYS
            ],
        ),
        migrations.AddIndex(
            "run", models.Index(fields=["worker"], condition=Q(worker__isnull=False), name="runs_owned_by")
        ),
        migrations.RemoveIndex("run", "runs_owned"),
        migrations.AddIndex(
            "run",
            models.Index(
                fields=["user", "-priority", "due_at", "id"],
                condition=Q(status="pending"),
                name="runs_waiting_by_user",
            ),
        ),
        migrations.AddIndex(
            "run", models.Index(fields=["user"], condition=Q(status="running"), name="runs_running_by_user")
        ),
        migrations.RunPython(
            still_only_grows("runs_run", "attempt", "epoch"), still_only_grows("runs_run", "attempt", "epoch")
        ),
    ]
