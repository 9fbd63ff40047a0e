"""Conditions on JSON: the rows that they find, and the rows that they read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.rows import make_thread, make_user
from threads.api import searching
from threads.api.schemas import ThreadFilter, ThreadSearch
from threads.db import conditions
from threads.db.values.json import contains, contains_text
from threads.models import Thread

pytestmark = pytest.mark.django_db

ODD = [
    'quo"te',
    "back\\slash",
    "sl/ash",
    "é",
    "\u2028",
    "日本",
    "😀",
    "<&'>",
    "tab\t",
    "",
    " ",
    "a",
    "A",
    "\x7f",
    "{}",
    "[1]",
]
DOCUMENTS: list[dict[str, Any]] = [
    *({each: 1} for each in ODD),
    *({"word": each} for each in ODD),
    *({"words": ["x", each, {"deep": [each]}]} for each in ODD),
    {}, {"number": 1}, {"number": 1.0}, {"number": True}, {"number": None}, {"number": "1"}, {"deep": {"er": {"number": 1}}},
]  # fmt: skip


class Somebody:
    def __init__(self, user_id: int) -> None:
        self.user_id = user_id


@pytest.mark.parametrize("column", ["metadata", "values"])
def test_a_search_finds_what_contains_what_is_wanted(column: str) -> None:
    user = make_user()
    for document in DOCUMENTS:
        make_thread(user=user, **{column: document})
    make_thread(user=user)
    wanted = [
        *DOCUMENTS[1:],
        *({"words": [each]} for each in ODD),
        *({"words": [{"deep": [each]}]} for each in ODD),
    ]
    for each in wanted:
        if not each:
            continue
        search = ThreadSearch.model_validate({column: each, "limit": 1000})
        shown, _ = searching.page(search, principal=Somebody(user.pk))
        expected = sum(contains(document, each) for document in DOCUMENTS)
        assert all(contains(thread[column], each) for thread in shown), each
        assert len(shown) == expected, each
        assert searching.count(search, principal=Somebody(user.pk)) == expected


def many(number: int, **fields: Any) -> Somebody:
    """A user with many threads; one in a hundred has distinct data."""
    user, now = make_user(), timezone.now()
    Thread.objects.bulk_create(
        Thread(
            user=user,
            metadata={"graph_id": "ten", "project": "rare" if index % 100 == 0 else f"p{index % 10}"},
            created_at=now + timedelta(seconds=index),
            updated_at=now + timedelta(seconds=index),
            state_updated_at=now,
            **fields,
        )
        for index in range(number)
    )
    return Somebody(user.pk)


@pytest.mark.sqlite
def test_sqlite_parses_only_what_may_be_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counted(document: str | None, wanted: str) -> bool:
        parsed.append(wanted)
        return contains_text(document, wanted)

    monkeypatch.setattr(conditions, "contains_text", counted)
    somebody = many(500)
    search = ThreadSearch.model_validate({"metadata": {"project": "rare"}})
    shown, _ = searching.page(search, principal=somebody)
    assert len(shown) == len(parsed) == 5
    parsed.clear()
    assert searching.count(ThreadFilter.model_validate({"values": {"log": ["x"]}}), principal=somebody) == 0
    assert parsed == []


@pytest.mark.sqlite
def test_sqlite_reads_threads_in_their_order_by_an_index() -> None:
    somebody = many(500)
    for body, index in (
        ({}, "threads_by_user"),
        ({"sort_order": "asc"}, "threads_by_user"),
        ({"metadata": {"project": "rare"}}, "threads_by_user"),
        ({"sort_by": "updated_at"}, "threads_by_update"),
        (
            {"sort_by": "updated_at", "sort_order": "asc", "metadata": {"project": "rare"}},
            "threads_by_update",
        ),
    ):
        with CaptureQueriesContext(connection) as queries:
            searching.page(ThreadSearch.model_validate(body), principal=somebody)
        query = queries[0]
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
            assert [row[-1] for row in cursor.fetchall()] == [
                f"SEARCH threads_thread USING INDEX {index} (user_id=?)"
            ], body
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pragma_index_xinfo('threads_by_user') WHERE key")
        # The index has the metadata: a selective search reads no rows of other threads.
        assert [name for (name,) in cursor.fetchall()] == ["user_id", "created_at", "id", "metadata"]
