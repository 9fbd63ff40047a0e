"""`manage.py index_threads`."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from tests.support.rows import make_thread
from threads.models import Thread, ThreadText
from threads.texts import backfill
from threads.texts.writing import write_of

pytestmark = pytest.mark.django_db(transaction=True)


def called(*arguments: str) -> str:
    out = StringIO()
    call_command("index_threads", *arguments, stdout=out)
    return out.getvalue()


def thread(text: str, **fields: Any) -> Thread:
    return make_thread(values={"messages": [{"type": "ai", "content": text}]}, **fields)


def test_texts_that_are_missing_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "BATCH", 2)
    made = [thread(f"text {place}") for place in range(5)]
    make_thread(values=None)
    thread("hidden", discarded_at="2026-01-01T00:00:00Z")
    write_of([made[4]])
    ThreadText.objects.filter(thread=made[4]).update(text="kept")
    assert called() == "Read 5 threads.\n"
    texts = dict(ThreadText.objects.values_list("thread_id", "text"))
    assert texts == {**{each.id: f"text {place}" for place, each in enumerate(made)}, made[4].id: "kept"}
    assert called() == "Read 1 threads.\n"


def test_it_is_bounded_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "BATCH", 2)
    made = [thread(f"text {place}") for place in range(5)]
    called("--most", "2")
    assert set(ThreadText.objects.values_list("thread_id", flat=True)) == {each.id for each in made[3:]}
    called()
    assert ThreadText.objects.count() == 5
