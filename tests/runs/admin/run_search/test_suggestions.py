"""Completions of what is typed into the search box."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.admin.run_search import suggestions as module
from runs.admin.run_search.suggestions import MOST, VALUES, suggested
from runs.admin.run_search.terms import QUALIFIERS, parsed
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_assistant, make_run, make_thread, make_user, make_worker

pytestmark = pytest.mark.django_db
PAGE = "/admin/runs/run/suggestions/"


def values(word: str) -> list[str]:
    return [each.value for each in suggested(word)]


def test_qualifiers_come_first() -> None:
    assert values("st") == ["status:"]
    assert values("m") == ["meta."]
    assert len(values("")) == len(QUALIFIERS)
    assert values("zzz") == []


def test_statuses_also_of_a_list() -> None:
    assert values("status:e") == ["status:error"]
    assert values("status:error,time") == ["status:error,timeout"]
    (waiting,) = suggested("status:wai")
    assert (waiting.value, waiting.label) == ("status:waiting", "waits for a person")


def test_users_graphs_queues_assistants_and_workers() -> None:
    run = make_run("success", queue="gpu-large", assistant=make_assistant("nested"))
    make_user()
    name = run.user.username
    assert values(f"user:{name[:-1].upper()}") == [f"user:{name}"]
    assert values("user:") == [f"user:{name}"], "without runs there is no suggestion"
    assert values("graph:nes") == ["graph:nested"]
    assert values("queue:gpu") == ["queue:gpu-large"]
    assert "queue:default" in values("queue:")
    assert values("assistant:nes") == [f"assistant:{run.assistant_id}"]
    worker = make_worker(host="web-7", pid=3)
    make_worker(host="web-8", stopped=True)
    assert [(each.value, each.label) for each in suggested("worker:WEB")] == [
        (f"worker:{worker.id}", "web-7:3")
    ]
    assert values(f"worker:{str(worker.id)[:30]}") == [f"worker:{worker.id}"]


def test_nodes_and_errors_of_failed_runs_the_commonest_first() -> None:
    for error, node in (
        ("KeyError", "price"),
        ("ValueError", "plan"),
        ("KeyError", "price"),
        ("E", "send it"),
    ):
        make_run(
            "error",
            error={"error": error, "message": "secret"},
            failure={"node": node, "traceback": "secret"},
        )
    make_run("error", error={"error": "Gone", "message": ""}, failure={"node": None, "traceback": ""})
    assert values("error:") == ["error:KeyError", "error:Gone", "error:E", "error:ValueError"]
    assert values("node:p") == ["node:price", "node:plan"]
    assert values("node:s") == ['node:"send it"']
    assert values('node:"send') == ['node:"send it"']


def test_every_suggested_value_can_be_searched_for() -> None:
    make_run("running", failure={"node": "a b"}, error={"error": "E"})
    for name in VALUES:
        for value in values(f"{name}:"):
            assert [term.name for term in parsed(value)] == [name]


@pytest.mark.parametrize(
    "word",
    ["id:", "thread:a", "input:x", "meta.ticket:", "zzz:", ":", "::", "status:zzz", "user:%", "x" * 5000],
)
def test_other_words_have_none(word: str) -> None:
    make_run(metadata={"ticket": "secret"}, kwargs={"input": "x"})
    assert values(word) == []


def test_looks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    for place in range(MOST + 2):
        failure = {"node": f"n{place}", "traceback": ""}
        make_run("error", thread=make_thread(user=user), failure=failure, error={"error": f"E{place}"})
    assert len(values("node:n")) == len(values("error:E")) == MOST
    monkeypatch.setattr(module, "LONG", 2)
    assert set(values("node:")) == {f"node:n{MOST}", f"node:n{MOST + 1}"}
    monkeypatch.setattr(module, "FAILED", 1)
    assert values("node:") == [f"node:n{MOST + 1}"]
    for name in VALUES:
        with CaptureQueriesContext(connection) as queries:
            values(f"{name}:")
        assert len(queries) <= 2, name


def test_the_page_answers_in_json_to_those_who_view_runs() -> None:
    make_run("success")
    client = staff("view_run")
    answer: Any = client.get(PAGE, {"word": "status:err"})
    assert answer.json() == {"suggestions": [{"value": "status:error", "label": ""}]}
    assert "no-store" in answer["Cache-Control"]
    for word in ("\x00", "user:\x00", "<script>", "user:'", "é:é", " "):
        assert client.get(PAGE, {"word": word}).status_code == 200
    assert client.get(PAGE).status_code == 200
    assert staff("view_thread").get(PAGE, {"word": "user:"}).status_code == 403
    html = sign_in(is_superuser=True).get("/admin/runs/run/").content.decode()
    assert f'data-suggestions="{PAGE}"' in html
