from typing import Any

import django.db.models.deletion
from django.db import migrations, models

TABLE = "threads_threadtext"
#: The words are indexed as they are: `to_tsvector` and SQLite's tokenizers would find different ones.
_VECTOR = "array_to_tsvector(string_to_array(words, ' '))"
POSTGRESQL = (
    # Every search reads the entries that are not yet sorted into the index: at most 256 kB.
    f"CREATE INDEX {TABLE}_by_words ON {TABLE} USING gin ({_VECTOR}) WITH (gin_pending_list_limit = 256)",
    # Statistics would cost ANALYZE the vectors of thousands of texts.
    f"ALTER INDEX {TABLE}_by_words ALTER COLUMN 1 SET STATISTICS 0",
    # The planner knows only the size of the rows and not that of their texts, which are elsewhere, and would
    # read them all. A function with a setting is planned on its own.
    f"""CREATE FUNCTION threads_saying(wanted tsquery) RETURNS SETOF uuid LANGUAGE sql STABLE ROWS 100
        SET enable_seqscan = off AS $$ SELECT thread_id FROM {TABLE} WHERE {_VECTOR} @@ wanted $$""",
)
_DELETE = f"INSERT INTO {TABLE}_words({TABLE}_words, rowid, words) VALUES ('delete', old.id, old.words);"
_INSERT = f"INSERT INTO {TABLE}_words(rowid, words) VALUES (new.id, new.words);"
#: Tables altered later lose these triggers and indexes, because SQLite recreates them.
SQLITE = (
    f"CREATE VIRTUAL TABLE {TABLE}_words USING fts5(words, content='{TABLE}', content_rowid='id', detail='none', "
    "tokenize=\"ascii tokenchars '@'\")",
    f"CREATE TRIGGER {TABLE}_inserted AFTER INSERT ON {TABLE} BEGIN {_INSERT} END",
    f"CREATE TRIGGER {TABLE}_updated AFTER UPDATE OF words ON {TABLE} BEGIN {_DELETE} {_INSERT} END",
    f"CREATE TRIGGER {TABLE}_deleted AFTER DELETE ON {TABLE} BEGIN {_DELETE} END",
    # From a found text to its thread without reading the text.
    f"CREATE INDEX {TABLE}_ids ON {TABLE} (id, thread_id)",
    # The chat's order, so that only shown threads are read. On PostgreSQL it would make every update of a thread
    # by a run write to every index.
    "CREATE INDEX threads_by_state ON threads_thread (user_id, state_updated_at DESC, id DESC) "
    "WHERE discarded_at IS NULL",
)


def create(apps: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


def drop(apps: Any, schema_editor: Any) -> None:
    """Indexes and triggers of the table go with it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION threads_saying(tsquery)", params=None)
        return
    schema_editor.execute(f"DROP TABLE {TABLE}_words", params=None)
    schema_editor.execute("DROP INDEX threads_by_state", params=None)


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
