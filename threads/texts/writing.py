"""Writes the texts of threads, in the transaction that writes their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from threads.db.ids import UserId
from threads.models import Thread, ThreadText
from threads.texts.content import Content, content_of, title_of
from threads.texts.words import words_of

TABLE = ThreadText._meta.db_table
#: A text that stays the same is not indexed again.
UPSERT = (
    f'INSERT INTO {TABLE} (thread_id, title, "text", words) VALUES {{rows}} ON CONFLICT (thread_id) DO UPDATE '
    'SET title = excluded.title, "text" = excluded."text", words = excluded.words '
    f"WHERE {TABLE}.words <> excluded.words "
    f'OR {TABLE}."text" <> excluded."text" OR {TABLE}.title <> excluded.title'
)
DELETE = f"DELETE FROM {TABLE} WHERE thread_id IN ({{places}})"


class Text(NamedTuple):
    """A thread's text as it is stored."""

    thread_id: UUID
    title: str
    text: str
    words: str


def text(thread_id: UUID, *, user_id: UserId, metadata: Mapping[str, Any], content: Content) -> Text:
    title = title_of(content, metadata)
    words = sorted({mark_of(user_id), *content.words, *words_of(title)})
    return Text(thread_id, title, content.text, " ".join(words))


def mark_of(user_id: UserId) -> str:
    """A word that no text has, so that the databases' indexes find only the texts of one user.

    The hyphens of a UUID, and any other character of a key, would make several words of it.
    """
    return f"@{user_id}" if isinstance(user_id, int) else f"@x{str(user_id).encode().hex()}"


def write(texts: Sequence[Text]) -> None:
    """Write texts, and remove the rows of threads that say nothing."""
    if rows := [each for each in texts if each.title or each.text]:
        places = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
        values = [value for row in rows for value in (_key(row.thread_id), *row[1:])]
        _execute(UPSERT.format(rows=places), values)
    if empty := [each.thread_id for each in texts if not (each.title or each.text)]:
        _execute(DELETE.format(places=", ".join(["%s"] * len(empty))), [_key(each) for each in empty])


def write_of(threads: Iterable[Thread]) -> None:
    """Write the texts of threads from their rows."""
    write(
        [
            text(
                thread.id,
                user_id=thread.user_id,
                metadata=thread.metadata,
                content=content_of(thread.values),
            )
            for thread in threads
        ]
    )


def _key(thread_id: UUID) -> Any:
    return ThreadText._meta.get_field("thread").get_db_prep_value(thread_id, connection)


def _execute(query: str, values: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
