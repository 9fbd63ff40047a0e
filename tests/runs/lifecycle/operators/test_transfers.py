"""Runs as files: what a copy has of the run, what it has not, and files that are refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError

from runs.encoding import encode
from runs.events.log_reader import LogReader
from runs.events.table import START
from runs.exceptions import InvalidRequest
from runs.lifecycle.operators import operations, transfers
from runs.lifecycle.operators.operations import Operator, Refused
from runs.lifecycle.operators.transfers import exported, imported
from runs.models import Attempt, Run, RunAction, RunEvent
from tests.support.rows import make_events, make_run, make_user
from threads.db import clock
from threads.models import Thread

ADA = Operator("ada", "command")

pytestmark = pytest.mark.django_db


def moved(run: Run) -> list[str]:
    """The lines of a run's file, after which the run is gone."""
    lines = list(exported(run))
    run.thread.delete()
    assert not Run.objects.filter(id=run.id).exists()
    return lines


def of(run: Run, model: Any, *names: str) -> list[Any]:
    return list(model.objects.filter(run_id=run.id).order_by("pk").values_list(*names))


def head(**fields: Any) -> str:
    run = make_run("success")
    (line,) = moved(run)
    return encode({**json.loads(line), **fields})


def test_a_copy_has_the_times_of_its_attempts_and_events() -> None:
    run = make_run("success", age=60, input_tokens=7, usage={"m": [7, 0]}, metadata={"ticket": "T-17"})
    now = clock.now()
    Attempt.objects.create(
        run=run, number=1, epoch=1, host="far", pid=9, began_at=run.started_at, ended_at=now, reason="lost"
    )
    make_events(run, 3, data='{"api_key": "abc"}')
    RunEvent.objects.filter(run_id=run.id, seq=2).update(created_at=now - timedelta(seconds=30))
    RunAction.objects.create(run=run, kind="cancel", who="eve", origin="admin", outcome="", created_at=now)
    events = of(run, RunEvent, "epoch", "seq", "created_at")
    attempts = of(run, Attempt, "number", "host", "pid", "began_at", "ended_at", "reason")
    person = make_user()
    copy = imported(moved(run), user_id=person.pk, by=ADA)
    assert (copy.id, copy.user_id, copy.started_at) == (run.id, person.pk, run.started_at)
    assert (copy.input_tokens, copy.usage, copy.metadata) == (7, {"m": [7, 0]}, {"ticket": "T-17"})
    assert of(copy, RunEvent, "epoch", "seq", "created_at") == events
    assert set(RunEvent.objects.values_list("data", flat=True)) == {'{"api_key":"***"}'}
    assert of(copy, Attempt, "number", "host", "pid", "began_at", "ended_at", "reason") == attempts
    # Another site's record is not this site's.
    assert of(copy, RunAction, "kind", "who", "origin") == [("import", "ada", "command")]


def test_a_copy_cannot_be_repeated() -> None:
    copy = imported(moved(make_run("error")), user_id=make_user().pk, by=ADA)
    for act in (operations.retry, lambda *given: operations.fork(*given, {"checkpoint_id": str(uuid4())})):
        with pytest.raises(Refused, match="it is a copy from a file"):
            act(copy.id, ADA)


def test_a_large_export_says_where_it_was_cut() -> None:
    run = make_run("success")
    make_events(run, 5)
    one = len(next(line for line in exported(run) if '"event"' in line))
    kinds = [json.loads(line)["type"] for line in exported(run, most=2 * one)]
    assert kinds == ["run", "event", "event", "cut"]


@pytest.mark.parametrize(("epoch", "count"), [(1, 2), (2, 0)], ids=["one-attempt", "cut-before-the-last"])
def test_a_copy_of_a_file_that_was_cut_is_whole_to_its_readers(epoch: int, count: int) -> None:
    run = make_run("success", event_count=5)
    make_events(run, 5)
    Run.objects.filter(id=run.id).update(epoch=epoch)
    whole = moved(Run.objects.get(id=run.id))
    copy = imported(whole[:3], user_id=make_user().pk, by=ADA)
    assert (copy.epoch, copy.event_count) == (epoch, count)
    assert [event.seq for event in LogReader(copy.id).next(START)] == [1, 2]


def test_an_export_of_a_log_that_is_being_removed_says_so() -> None:
    run = make_run("success", event_count=5)
    make_events(run, 4)
    assert [json.loads(line)["type"] for line in exported(run)][-2:] == ["event", "removed"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"error": "broken"}, "its error is no object"),
        ({"request": [1]}, "its request is no object"),
        ({"usage": {"m": 1}}, "TypeError"),
        ({"graph": "unheard-of"}, "no graph 'unheard-of'"),
        ({"created": "yesterday"}, "ValueError"),
        ({"epoch": 2**70}, "cannot be imported"),
        ({"epoch": 2**63 - 1}, "no number that a run can have"),
        ({"usage": {"m": [1, -(2**31)]}}, "no number that a run can have"),
        ({"metadata": {str(number): 1 for number in range(20_000)}}, "at most 10000 values"),
    ],
)
def test_a_wrong_head_is_refused(fields: dict[str, Any], why: str) -> None:
    line = head(**fields)
    with pytest.raises(InvalidRequest, match=why) as refused:
        imported([line], user_id=make_user().pk, by=ADA)
    assert "\n" not in str(refused.value)
    assert not Thread.objects.exists()


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "event", "id": "1-1", "event": "values"}',
        '{"type": "event", "id": "one", "event": "values", "data": {}}',
        '{"type": "attempt", "number": 1, "epoch": 1}',
        f'{{"type": "event", "id": "1-1", "event": "values", "data": {"[" * 100_000}',
    ],
)
def test_a_wrong_line_leaves_nothing(line: str) -> None:
    first = head()
    with pytest.raises(InvalidRequest):
        imported([first, line], user_id=make_user().pk, by=ADA)
    assert not Thread.objects.exists()


def test_two_events_of_one_id_become_a_sentence() -> None:
    line = '{"type": "event", "id": "1-1", "event": "values", "data": {}}'
    first = head()
    with pytest.raises(InvalidRequest, match=r"^The file cannot be imported: IntegrityError") as refused:
        imported([first, line, line], user_id=make_user().pk, by=ADA)
    assert "\n" not in str(refused.value)
    assert not Run.objects.exists()


def test_a_value_that_the_database_refuses_becomes_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise DataError("too long\nLINE 1: …")

    first = head()
    monkeypatch.setattr(transfers, "_create", refuse)
    with pytest.raises(InvalidRequest, match=r"^The file cannot be imported: DataError: too long$"):
        imported([first], user_id=make_user().pk, by=ADA)
