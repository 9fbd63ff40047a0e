"""The index over inputs: built, used by searches, removed; refused where it cannot be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.models import TextField
from django.db.models.functions import Cast

from runs.admin.run_search import matching as searching
from runs.admin.run_search.matching import matching
from runs.admin.run_search.terms import parsed
from runs.exceptions import InvalidRequest
from runs.lifecycle.operators import input_index
from runs.models import Run
from tests.support.commands import Result
from tests.support.rows import make_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def removed() -> Iterator[None]:
    yield
    input_index.drop()


def test_with_the_index_all_runs_are_searched(
    monkeypatch: pytest.MonkeyPatch, removed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    from runs.management.commands.agents import Command

    monkeypatch.setitem(searching.BY_NAME, "input", (1, searching.BY_NAME["input"][1]))
    old = make_run("success", age=60, kwargs={"input": {"text": "About ORD-114, on its way"}})
    make_run("success")

    def search(text: str) -> tuple[set[object], int | None]:
        found = matching(Run.objects.all(), parsed(text), reads=True)
        return set(found.rows.values_list("id", flat=True)), found.bound

    assert search('input:"ord-114"') == (set(), 1)
    result = Result(capsys, Command(), "agents", "runs", "index", "--json")
    if connection.vendor == "sqlite":
        assert result.code == 1
        assert "needs PostgreSQL" in result.err
        return
    assert result.json == {"schema": 1, "index": "runs_inputs_trgm", "present": True, "changed": True}
    assert not input_index.build()
    assert search('input:"ord-114"') == ({old.id}, None)
    # Two letters have no trigram.
    assert search("input:OR")[1] == 1
    monkeypatch.setattr(input_index, "MOST", 0)
    assert search('input:"ord-114"') == (set(), 1)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        rows = Run.objects.alias(searched=Cast("kwargs", TextField())).filter(searched__icontains="ord-114")
        assert input_index.NAME in rows.explain()
        cursor.execute("RESET enable_seqscan")
    assert input_index.drop()
    assert search('input:"ord-114"')[1] == 1


def test_without_the_extension_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "postgresql":
        monkeypatch.setattr(input_index, "EXTENSION", "no_such_extension")
        wanted = "postgresql-contrib"
    else:
        wanted = "needs PostgreSQL"
    with pytest.raises(InvalidRequest, match=wanted):
        input_index.build()
    assert not input_index.present()
