"""The deletion of a user: cut off at any step, continued by a pass of retention, stopped, or held up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth import get_user_model

from runs.deletion import Step
from runs.exceptions import NotFound, ThreadLocked
from runs.lifecycle.operators.operations import Operator
from runs.models import AuthIdentity, Erasure
from runs.retention import users
from runs.retention.erasures import CUT_OFF, begin, taken, touch, unfinished
from runs.retention.policy import Policy, Report, survey
from runs.retention.users import delete_user
from tests.runs.management.agents.test_nouns import belongings, of_users
from tests.runs.retention.test_expiry import held
from tests.support.retention import report_of
from tests.support.rows import make_run, make_thread, make_user
from threads.db import clock
from threads.models import Thread

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_settings")]

BY = Operator("ada", "command")


def cut_off(user: Any, steps: int, by: Operator = BY) -> list[Step]:
    """The first steps of a user's deletion, whose process then ended a while ago."""
    deletion = delete_user(user.pk, by)
    done = [step for _, step in zip(range(steps), deletion, strict=False)]
    deletion.close()  # type: ignore[attr-defined]
    long_since(user)
    return done


def long_since(user: Any) -> None:
    """Let the last work on a deletion be longer ago than a process in progress is silent."""
    before = clock.now() - timedelta(seconds=CUT_OFF + 1)
    Erasure.objects.filter(user=user.pk).update(touched_at=before)


def swept() -> Report:
    return report_of(Policy())


def is_there(user: Any) -> bool:
    return get_user_model().objects.filter(pk=user.pk).exists()


def activate(user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).update(is_active=True)


def test_a_deletion_that_was_cut_off_at_any_step_is_finished_by_a_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runs.deletion.rest_after", lambda seconds: 0.0)
    spared = make_user()
    belongings(spared)
    before, steps = of_users([spared.pk]), 0
    while True:
        steps += 1
        user = make_user()
        belongings(user)
        AuthIdentity.objects.create(identity="ada", user=user, created_at=clock.now())
        done = cut_off(user, steps)
        if not is_there(user):
            break
        assert survey(Policy()).users == 1
        report = swept()
        assert (report.users, report.users_failed) == (1, 0), done
        assert not is_there(user) and set(of_users([user.pk]).values()) == {0}, done
        assert not AuthIdentity.objects.exists() and not Erasure.objects.exists()
    assert steps > 8
    assert of_users([spared.pk]) == before
    assert is_there(spared)


def test_a_deletion_in_progress_is_left_alone_and_continued_by_one() -> None:
    user = make_user()
    begin(user.pk, BY)
    assert swept().users == 0 and is_there(user)
    long_since(user)
    [erasure] = unfinished(clock.now())
    assert taken(erasure)
    assert not taken(erasure), "a second process came later"
    assert not unfinished(clock.now()).exists()


def test_who_asked_is_on_record_also_if_a_pass_finished_it() -> None:
    admin, user = make_user(), make_user()
    belongings(user)
    cut_off(user, 1, Operator("root", "admin", admin.pk))
    begin(user.pk, BY)
    assert Erasure.objects.values_list("who", "origin").get() == ("root", "admin"), "the first one asked"
    long_since(user)
    swept()
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.object_id, entry.action_flag) == (admin.pk, str(user.pk), DELETION)
    assert "3 threads" in entry.change_message


def test_a_user_who_is_made_active_again_is_not_deleted() -> None:
    user = make_user()
    belongings(user)
    cut_off(user, 2)
    activate(user)
    assert swept().users == 0
    assert is_there(user) and Thread.objects.filter(user=user).count() == 3
    assert not Erasure.objects.exists()


def test_a_user_who_is_made_active_during_the_last_steps_stays() -> None:
    user = make_user()
    belongings(user)
    steps = delete_user(user.pk, BY)
    kinds = [next(steps)[0]]
    activate(user)
    kinds += [kind for kind, _ in steps]
    assert "users" not in kinds
    assert is_there(user)
    assert not touch(user.pk)
    assert not Erasure.objects.exists()
    # Being deleted again is another deletion, with another name on it.
    begin(user.pk, Operator("eve", "command"))
    assert Erasure.objects.values_list("who", flat=True).get() == "eve"


def test_a_deletion_stops_soon_after_its_user_was_made_active(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    belongings(user)
    monkeypatch.setattr("runs.retention.erasures.TOUCH", 0.0)
    steps = delete_user(user.pk, BY)
    next(steps)
    activate(user)
    assert list(steps) == []
    assert Thread.objects.filter(user=user).count() == 3


def test_a_run_that_vanished_meanwhile_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    user, thread = make_user(), make_thread()
    runs = [make_run("success", thread=thread, user=user).id for _ in range(2)]
    delete, asked = users.cancellation.delete, []

    def first_not_found(run_id: Any, *, thread_id: Any) -> None:
        asked.append(run_id)
        if len(asked) == 1:
            raise NotFound
        delete(run_id, thread_id=thread_id)

    monkeypatch.setattr(users.cancellation, "delete", first_not_found)
    assert ("users", 1) in list(delete_user(user.pk, BY))
    assert set(asked) == set(runs)
    assert Thread.objects.filter(id=thread.id).exists()


def test_a_deletion_that_cannot_go_on_keeps_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass goes on with another user, and tries again later."""
    monkeypatch.setattr(users, "PAUSE", 0.0)
    user, other = make_user(), make_user()
    make_thread(user=user)
    with monkeypatch.context() as patched:
        # As if others had locked all threads.
        patched.setattr(users, "hide", lambda *_, **__: ([], []))
        with pytest.raises(ThreadLocked):
            list(delete_user(user.pk, BY))
        assert "locked" in Erasure.objects.values_list("why", flat=True).get()
        begin(other.pk, BY)
        long_since(user), long_since(other)
        report = swept()
        assert (report.users, report.users_failed) == (1, 1)
    assert is_there(user) and not is_there(other)
    assert "locked" in Erasure.objects.values_list("why", flat=True).get()
    long_since(user)
    assert swept().users == 1
    assert not is_there(user)


@pytest.mark.postgresql
def test_a_locked_thread_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "PAUSE", 0.0)
    user = make_user()
    locked, free = make_thread(user=user), make_thread(user=user)
    with held(lambda: Thread.objects.locked().get(id=locked.id)):
        with pytest.raises(ThreadLocked):
            list(delete_user(user.pk, BY))
        assert not Thread.objects.filter(id=free.id).exists()
    assert Thread.objects.filter(id=locked.id, discarded_at__isnull=True).exists()
    long_since(user)
    assert swept().users == 1
    assert not is_there(user)


@pytest.mark.postgresql
def test_an_account_that_somebody_changes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "LOCK_WAIT", 0.05)
    user = make_user()
    begin(user.pk, BY)
    long_since(user)
    with held(lambda: activate(user)):
        assert swept().users_failed == 1
    long_since(user)
    assert swept().users == 0 and is_there(user)


@pytest.mark.postgresql
def test_a_locked_thread_of_others_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "LOCK_WAIT", 0.05)
    user, thread = make_user(), make_thread()
    make_run("success", thread=thread, user=user)
    with held(lambda: Thread.objects.locked().get(id=thread.id)), pytest.raises(ThreadLocked):
        list(delete_user(user.pk, BY))
    assert Erasure.objects.exclude(why="").exists() and is_there(user)
