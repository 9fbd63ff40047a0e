"""Which runs a search finds."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.admin.run_search import matching as module
from runs.admin.run_search.matching import matching
from runs.admin.run_search.terms import UnknownTerm, parsed
from runs.models import Run
from tests.support.rows import make_assistant, make_run, make_thread, make_worker
from threads.models import ThreadStatus

pytestmark = pytest.mark.django_db


def found(text: str, *, reads: bool = True) -> set[Any]:
    return set(matching(Run.objects.all(), parsed(text), reads=reads).rows.values_list("id", flat=True))


def test_by_ids_in_whole_and_in_part() -> None:
    worker = make_worker(stopped=True)
    run, other = make_run("running", worker=worker), make_run("success")
    assert found(f"id:{run.id.hex[-8:]}") == {run.id}
    assert found(f"id:{run.id.hex[:20]}") >= {run.id}
    assert found(f"thread:{other.thread_id.hex[-8:]}") == {other.id}
    assert found(f"worker:{worker.id}") == {run.id}
    assert found(f"assistant:{other.assistant_id}") >= {other.id}
    with pytest.raises(UnknownTerm, match="at least 4"):
        found("id:a1")
    with pytest.raises(UnknownTerm, match="is no id"):
        found("thread:zebra")


def test_by_user_status_graph_and_queue_together() -> None:
    failed, done = make_run("error", error={"error": "E", "message": "m"}), make_run("success")
    nested = make_run("success", assistant=make_assistant("nested"))
    assert found(f"user:{failed.user.username} status:error") == {failed.id}
    assert found("status:error,success") == {failed.id, done.id, nested.id}
    assert found("graph:nested status:success") == {nested.id}
    assert found("queue:default graph:nested") == {nested.id}
    assert found("queue:other") == set()


def test_a_run_waits_for_a_person_only_if_it_is_the_last_of_its_thread() -> None:
    thread = make_thread(status=ThreadStatus.INTERRUPTED)
    make_run("success", thread=thread)
    last = make_run("success", thread=thread)
    cancelled = make_run("interrupted")
    assert found("status:waiting") == {last.id}
    assert found("status:cancelled") == {cancelled.id}


def test_by_texts_and_metadata() -> None:
    run = make_run(
        "error",
        error={"error": "TimeoutError", "message": "The price did not come."},
        failure={"node": "price", "tasks": [], "traceback": ""},
        metadata={"ticket": "T-17", "tries": 3, "paid": True},
        kwargs={"input": {"order": "ORD-114"}},
    )
    make_run("success", metadata={"ticket": "T-18"})
    for text in (
        "error:timeout", 'error:"price did not"', "node:price", "meta.ticket:T-17", "meta.tries:3", "meta.paid:true",
        'input:"ORD-114"',
    ):  # fmt: skip
        assert found(text) == {run.id}, text
    assert found("error:timeout node:other") == set()


@pytest.mark.parametrize("text", ["input:secret", "meta.ticket:secret", "meta.ticket__startswith:s"])
def test_payloads_are_searched_by_those_who_may_read_them(text: str) -> None:
    make_run("success", kwargs={"input": "secret"}, metadata={"ticket": "secret"})
    with pytest.raises(UnknownTerm, match="view_run_payload"):
        found(f"status:success {text}", reads=False)


@pytest.mark.parametrize("lookup", ["isnull", "regex", "gt", "contains", "startswith", "in"])
def test_a_key_of_metadata_is_no_lookup(lookup: str) -> None:
    make_run("success", metadata={"a": "(", lookup: "b"})
    run = make_run("success", metadata={f"a__{lookup}": "("})
    assert found(f"meta.a__{lookup}:(") == {run.id}
    assert found(f"meta.a__{lookup}:1") == set()
    assert found(f"meta.{lookup}:(") == set()


def test_several_keys_of_metadata_must_all_have_their_values() -> None:
    run = make_run("success", metadata={"a": "1", "b": 2})
    make_run("success", metadata={"a": "1", "b": 3})
    assert found("meta.a:1 meta.b:2") == {run.id}


def test_texts_are_looked_for_among_the_newest_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.BY_NAME, "error", (2, module.BY_NAME["error"][1]))
    runs = [make_run("error", error={"error": "E", "message": "same"}) for _ in range(3)]
    result = matching(Run.objects.all(), parsed("error:same"), reads=True)
    assert result.bound == 2
    assert set(result.rows.values_list("id", flat=True)) == {runs[1].id, runs[2].id}


def test_what_has_an_index_is_found_without_reading_texts() -> None:
    run = make_run("success")
    with CaptureQueriesContext(connection) as queries:
        found(f"user:{run.user.username} status:success id:{run.id}")
    assert not [query["sql"] for query in queries if "LIKE" in query["sql"] or "::text" in query["sql"]]
