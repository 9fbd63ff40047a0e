"""Code from before the last migrations still inserts and updates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from runs.lifecycle import claims
from runs.models import Run
from runs.process.leases import register
from threads.db.ids import new_id
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)


def older_states() -> list[tuple[str, str]]:
    """Every migration of these apps except the last ones."""
    graph = MigrationLoader(None).graph
    last = set(graph.leaf_nodes())
    return sorted(key for key in graph.nodes if key[0] in ("runs", "threads") and key not in last)


@pytest.mark.parametrize("state", older_states(), ids="-".join)
def test_what_older_code_inserts_is_claimed_and_what_it_updates_is_read(state: tuple[str, str]) -> None:
    loader = MigrationLoader(connection)
    runs_state = state if state[0] == "runs" else ("runs", "0001_initial")
    apps = loader.project_state([state, runs_state]).apps
    now = timezone.now()
    user = get_user_model().objects.create_user("older")
    old = {
        name: apps.get_model(*name.split(".")) for name in ("runs.Assistant", "runs.Run", "threads.Thread")
    }
    assistant = old["runs.Assistant"].objects.create(graph_id="steps", created_at=now, updated_at=now)
    times: dict[str, Any] = {"created_at": now, "updated_at": now}
    thread = old["threads.Thread"].objects.create(
        id=new_id(), user_id=user.pk, status="busy", state_updated_at=now, **times
    )
    run = old["runs.Run"].objects.create(
        id=new_id(),
        thread_id=thread.pk,
        assistant_id=assistant.pk,
        user_id=user.pk,
        due_at=now - timedelta(seconds=1),
        **times,
    )
    worker_id = new_id()
    register(worker_id, 1)
    [claimed] = claims.claim(worker_id, limit=5)
    assert claimed.pk == run.pk
    done = {"status": "success", "finished_at": now, "worker": None}
    assert (
        old["runs.Run"].objects.filter(pk=run.pk, epoch=claimed.epoch, status="running").update(**done) == 1
    )
    assert old["threads.Thread"].objects.filter(pk=thread.pk).update(status="idle") == 1
    assert Run.objects.get(pk=run.pk).status == "success"
    assert Thread.objects.get(pk=thread.pk).status == "idle"
