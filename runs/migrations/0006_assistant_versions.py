"""Versions of assistants, and assistants that were deleted. What an assistant says now becomes its present version."""

import django.db.models.deletion
from django.db import migrations, models

from threads.db.fields import TextJSONField

COPY = """
INSERT INTO runs_assistantversion
    (assistant_id, version, graph_id, name, description, config, context, metadata, created_at)
SELECT id, version, graph_id, name, description, config, context, metadata, updated_at FROM runs_assistant
"""


class Migration(migrations.Migration):
    dependencies = [("runs", "0005_api_keys")]

    operations = [
        migrations.AddField("assistant", "deleted_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="AssistantVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("graph_id", models.CharField(max_length=255)),
                ("name", models.CharField(max_length=255)),
                ("description", models.TextField(null=True)),
                ("config", TextJSONField(default=dict)),
                ("context", TextJSONField(default=dict)),
                ("metadata", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                (
                    "assistant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="runs.assistant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("assistant", "version"), name="runs_one_assistant_per_version"
                    )
                ],
            },
        ),
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
    ]
