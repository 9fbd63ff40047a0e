"""The state machine of runs: every pair of statuses, in the code and in the database."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from runs.models import Assistant, Run, RunStatus, Worker
from runs.models.querysets import ARROWS, TERMINAL
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)

ALLOWED = {
    ("pending", "running"),
    ("pending", "interrupted"),
    ("pending", "error"),
    ("running", "pending"),
    ("running", "success"),
    ("running", "error"),
    ("running", "timeout"),
    ("running", "interrupted"),
}


@pytest.fixture
def make_run() -> Any:
    now = timezone.now()
    user = get_user_model().objects.create_user("u")
    assistant = Assistant.objects.create(graph_id="steps", created_at=now, updated_at=now)
    worker = Worker.objects.create(
        host="h", pid=1, version="1", concurrency=1, started_at=now, heartbeat_at=now, lease_expires_at=now
    )

    def make(status: str, thread: Thread | None = None) -> Run:
        thread = thread or Thread.objects.create(
            user=user, created_at=now, updated_at=now, state_updated_at=now
        )
        owned = {"worker": worker, "epoch": 1, "attempt": 1} if status == "running" else {}
        return Run.objects.create(
            thread=thread, assistant=assistant, user=user, status=status,
            created_at=now, updated_at=now, due_at=now, **owned,
        )  # fmt: skip

    make.worker = worker  # type: ignore[attr-defined]
    return make


@pytest.mark.parametrize(("source", "target"), list(itertools.product(RunStatus.values, RunStatus.values)))
def test_a_run_moves_along_the_arrows_of_its_docstring_and_no_others(
    make_run: Any, source: str, target: str
) -> None:
    run = make_run(source)
    owner = {"worker": make_run.worker, "epoch": 2, "attempt": 2} if target == "running" else {}
    if (source, target) in ALLOWED:
        assert Run.objects.filter(id=run.id).move(source, target, now=timezone.now(), **owner)
        run.refresh_from_db()
        assert run.status == target
        assert (run.finished_at is not None) == (target in TERMINAL)
    else:
        with pytest.raises(ValueError, match="cannot go from"):
            Run.objects.filter(id=run.id).move(source, target, now=timezone.now(), **owner)
        run.refresh_from_db()
        assert run.status == source


def test_the_arrows_in_the_code_are_those_of_the_docstring() -> None:
    text = Run.__doc__ or ""
    written = {
        (words[0], words[2])
        for line in text.splitlines()
        if len(words := line.split()) > 3 and words[1] == "->"
    }
    assert written == ARROWS == ALLOWED


def test_a_move_from_a_status_that_the_run_has_left_changes_nothing(make_run: Any) -> None:
    run = make_run("success")
    assert not Run.objects.filter(id=run.id).move("running", "error", now=timezone.now())
    run.refresh_from_db()
    assert run.status == "success"


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_owner_settles_only_with_the_epoch_that_it_claimed(make_run: Any, status: str) -> None:
    run = make_run("running")
    assert not Run.objects.settle(run.id, epoch=2, status=status, now=timezone.now())
    assert Run.objects.settle(run.id, epoch=1, status=status, now=timezone.now())
    assert not Run.objects.settle(run.id, epoch=1, status=status, now=timezone.now())


def test_a_thread_has_one_running_run(make_run: Any) -> None:
    run = make_run("running")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_run("running", run.thread)


def test_a_running_run_has_an_owner(make_run: Any) -> None:
    run = make_run("running")
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(id=run.id).update(worker=None)


@pytest.mark.parametrize("column", ["attempt", "epoch"])
def test_attempt_and_epoch_of_a_run_only_grow_whoever_writes(make_run: Any, column: str) -> None:
    run = make_run("running")
    Run.objects.filter(id=run.id).update(**{column: 5})
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        Run.objects.filter(id=run.id).update(**{column: 4})


def test_the_epoch_of_a_thread_only_grows(make_run: Any) -> None:
    thread = make_run("pending").thread
    Thread.objects.filter(id=thread.id).update(epoch=5)
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        Thread.objects.filter(id=thread.id).update(epoch=4)


def test_the_first_cancel_request_wins(make_run: Any) -> None:
    run = make_run("running")
    assert Run.objects.request_cancel(run.id, "rollback", now=timezone.now())
    assert not Run.objects.request_cancel(run.id, "interrupt", now=timezone.now())
    run.refresh_from_db()
    assert run.cancel_action == "rollback"


def test_ids_are_uuid7_and_grow(make_run: Any) -> None:
    ids = [make_run("pending").id for _ in range(5)]
    assert all(isinstance(each, uuid.UUID) and each.version == 7 for each in ids)
    assert ids == sorted(ids)
