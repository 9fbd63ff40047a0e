from typing import Any

import django.db.models.deletion
from django.db import migrations, models

TABLE = "threads_threadtext"
#: The words are indexed as they are: PostgreSQL's and SQLite's own parsers would find different ones.
POSTGRESQL = (
    f"ALTER TABLE {TABLE} ADD COLUMN vector tsvector GENERATED ALWAYS AS "
    "(array_to_tsvector(string_to_array(words, ' '))) STORED",
    # Every search reads the entries that are not yet sorted into the index: at most 256 kB.
    f"CREATE INDEX {TABLE}_vector ON {TABLE} USING gin (vector) WITH (gin_pending_list_limit = 256)",
)
_DELETE = f"INSERT INTO {TABLE}_words({TABLE}_words, rowid, words) VALUES ('delete', old.id, old.words);"
_INSERT = f"INSERT INTO {TABLE}_words(rowid, words) VALUES (new.id, new.words);"
#: A table altered later loses these triggers, because SQLite recreates it.
SQLITE = (
    f"CREATE VIRTUAL TABLE {TABLE}_words USING fts5(words, content='{TABLE}', content_rowid='id', detail='none', "
    "tokenize=\"ascii tokenchars '@'\")",
    f"CREATE TRIGGER {TABLE}_inserted AFTER INSERT ON {TABLE} BEGIN {_INSERT} END",
    f"CREATE TRIGGER {TABLE}_updated AFTER UPDATE OF words ON {TABLE} BEGIN {_DELETE} {_INSERT} END",
    f"CREATE TRIGGER {TABLE}_deleted AFTER DELETE ON {TABLE} BEGIN {_DELETE} END",
)


def create(apps: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


def drop(apps: Any, schema_editor: Any) -> None:
    """PostgreSQL's column and index, and SQLite's triggers, go with the table."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(f"DROP TABLE {TABLE}_words", params=None)


class Migration(migrations.Migration):
    dependencies = [("threads", "0009_stale_since")]
    operations = [
        migrations.CreateModel(
            name="ThreadText",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("title", models.TextField()),
                ("text", models.TextField()),
                ("words", models.TextField()),
                (
                    "thread",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="text",
                        to="threads.thread",
                    ),
                ),
            ],
        ),
        migrations.RunPython(create, drop),
    ]
