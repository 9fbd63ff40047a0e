"""What a deletion of rows by Django itself takes along, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from runs import receivers
from runs.exceptions import UserTooLarge
from runs.models import Run, RunEvent
from tests.runs.management.agents.conftest import executed
from tests.support.admin_site import sign_in
from tests.support.retention import pruning, traces
from tests.support.rows import make_events, make_run, make_thread, make_user
from threads.models import Thread

__all__ = ["executed"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_settings")]


def test_a_user_with_much_is_deleted_only_by_what_works_in_steps(
    executed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost by a refusal, also no checkpoint."""
    run = executed("steps")
    before = traces(run.thread_id)
    rows = sum(before[table] for table in ("threads", "runs", "checkpoints"))
    assert pruning().count([run.thread_id], limit=1000) == before["checkpoints"] > 1
    assert pruning().count([run.thread_id], limit=1) == 1
    monkeypatch.setattr(receivers, "MOST_ROWS", rows - 1)
    with pytest.raises(UserTooLarge, match="agents users delete"):
        run.user.delete()
    path = f"/admin/auth/user/{run.user_id}/delete/"
    assert sign_in(is_superuser=True).post(path, {"post": "yes"}).status_code == 403
    assert traces(run.thread_id) == before
    monkeypatch.setattr(receivers, "MOST_ROWS", rows)
    get_user_model().objects.filter(pk=run.user_id).delete()
    assert traces(run.thread_id) == {}


def test_runs_on_threads_of_others_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    make_events(make_run("success", thread=make_thread(), user=user), 2)
    monkeypatch.setattr(receivers, "MOST_ROWS", 0)
    with pytest.raises(UserTooLarge):
        user.delete()
    assert (Thread.objects.count(), Run.objects.count(), RunEvent.objects.count()) == (1, 1, 2)
