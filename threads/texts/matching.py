"""Finds threads by their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL

from threads.db.ids import UserId
from threads.models import ThreadText
from threads.texts.content import LONGEST_TITLE
from threads.texts.snippets import snippet
from threads.texts.words import pattern_of, terms_of
from threads.texts.writing import TABLE, mark_of

#: The threads whose words match an expression of the database's query language.
MATCHING = {
    "postgresql": "SELECT threads_saying(%s::tsquery)",
    "sqlite": (
        f"SELECT thread_id FROM {TABLE} INDEXED BY {TABLE}_ids "
        f"WHERE id IN (SELECT rowid FROM {TABLE}_words WHERE {TABLE}_words MATCH %s)"
    ),
}
#: A word, and a word's beginning, in these languages. A term has no quotes, because `words` finds none.
EXACT, BEGINNING, AND = (
    {"postgresql": "'{}'", "sqlite": '"{}"'},
    {"postgresql": "'{}':*", "sqlite": '"{}" *'},
    {"postgresql": " & ", "sqlite": " AND "},
)
#: Texts read at once for their snippets.
PAGE = 20


def saying(query: str, *, user_id: UserId | None) -> Q:
    """The condition that a thread, of this user if one is given, has words that begin with all of the query's words."""
    terms = terms_of(query)
    if not terms:
        return Q(pk__in=[])
    vendor = connection.vendor
    mark = [EXACT[vendor].format(mark_of(user_id))] if user_id is not None else []
    expression = AND[vendor].join([*mark, *(BEGINNING[vendor].format(term) for term in terms)])
    return Q(id__in=RawSQL(MATCHING[vendor], [expression]))


def found_in(thread_ids: Sequence[UUID], query: str) -> Iterator[tuple[UUID, str, list[str]]]:
    """Threads' ids, their titles or first words, and the parts of their texts that the query finds."""
    wanted = pattern_of(query)
    for start in range(0, len(thread_ids), PAGE):
        rows = ThreadText.objects.filter(thread__in=thread_ids[start : start + PAGE])
        for thread_id, title, text in rows.values_list("thread_id", "title", "text"):
            yield thread_id, title or text[:LONGEST_TITLE].partition("\n")[0], snippet(text, wanted)
