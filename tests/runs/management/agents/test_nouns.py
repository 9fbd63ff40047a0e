"""`agents threads`, `workers`, `queues`, `users` and `graphs`."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections

from runs.identity import keys
from runs.models import (
    ApiKey,
    Assistant,
    AssistantVersion,
    Attempt,
    Cron,
    ListColumns,
    PausedQueue,
    Run,
    RunEvent,
    SavedView,
    Worker,
)
from runs.process.leases import mark_stopped
from tests.support.commands import Agents
from tests.support.rows import make_assistant, make_events, make_run, make_thread, make_user, make_worker
from threads.checkpoints.opening import open_pruning
from threads.db import clock
from threads.models import StoreItem, Thread

pytestmark = pytest.mark.django_db(transaction=True)


# --- threads


def test_threads_are_listed_and_shown(agents: Agents) -> None:
    ada = make_user()
    idle = make_thread(user=ada, status="idle", metadata={"graph_id": "steps"}, values={"log": ["x"]})
    asks = make_thread(
        status="interrupted", interrupts={"t": [{"id": "q", "value": "Really?"}]},
        config={"configurable": {"api_key": "sesame"}},
    )  # fmt: skip
    make_thread(discarded_at=clock.now())
    run = make_run("success", thread=idle)
    found = agents("threads", "list", "--json").json["threads"]
    assert {each["thread_id"] for each in found} == {str(idle.id), str(asks.id)}
    assert agents("threads", "list", "--status", "interrupted").out.count("\n") == 2
    assert [
        each["graph_id"]
        for each in agents("threads", "list", "--user", ada.username, "--json").json["threads"]
    ] == ["steps"]
    shown = agents("threads", "show", idle.id, "--json").json["thread"]
    assert shown["values"] == {"log": ["x"]}
    assert [each["run_id"] for each in shown["runs"]] == [str(run.id)]
    text = agents("threads", "show", asks.id).out
    assert "Really?" in text
    assert "sesame" not in text


def test_a_threads_state_and_its_history_are_read_through_its_graph(agents: Agents, executed: Any) -> None:
    run = executed("nested")
    states = agents("threads", "history", run.thread_id, "--json").json["states"]
    assert states[0]["next"] == []
    assert [each["metadata"]["step"] for each in states] == list(range(len(states) - 2, -2, -1))
    assert len(agents("threads", "history", run.thread_id, "--limit", "2").out.splitlines()) == 3
    latest = agents("threads", "state", run.thread_id, "--json").json["state"]
    assert latest["checkpoint_id"] == states[0]["checkpoint_id"]
    first = agents("threads", "state", run.thread_id, "--at", states[-1]["checkpoint_id"])
    assert json.loads(first.out)["next"] == ["__start__"]


def test_a_thread_is_deleted_with_everything(agents: Agents, executed: Any, settings: Any) -> None:
    run = executed("steps")
    kept = make_thread()
    refused = agents("threads", "delete", run.thread_id)
    assert refused.code == 2
    assert Thread.objects.count() == 2
    found = agents("threads", "delete", run.thread_id, "--yes", "--json").json["deleted"]
    assert (found["threads"], found["runs"]) == (1, 1)
    assert found["checkpoint_rows"] > 0
    assert set(Thread.objects.values_list("id", flat=True)) == {kept.id}
    assert not RunEvent.objects.exists()


# --- workers


def test_workers_are_listed_with_their_states(agents: Agents) -> None:
    running, draining = make_worker(queues=["slow"]), make_worker(drain_requested_at=clock.now())
    killed, stopped = make_worker(lease=-5.0), make_worker(stopped=True)
    make_run("running", worker=running)
    found = {each["worker_id"]: each for each in agents("workers", "list", "--json").json["workers"]}
    states = {str(running.id): "running", str(draining.id): "draining", str(killed.id): "killed"}
    assert {key: each["state"] for key, each in found.items()} == states
    assert (found[str(running.id)]["executing"], found[str(running.id)]["queues"]) == (1, ["slow"])
    everything = agents("workers", "list", "--all", "--json").json["workers"]
    assert {each["state"] for each in everything} == {"running", "draining", "killed", "stopped"}
    assert str(stopped.id) in agents("workers", "list", "--all").out


def test_draining_waits_until_the_lease_has_ended(agents: Agents) -> None:
    worker, other = make_worker(), make_worker()

    def stop() -> None:
        try:
            for _ in range(200):
                if Worker.objects.filter(id=worker.id, drain_requested_at__isnull=False).exists():
                    break
                time.sleep(0.05)
            mark_stopped([worker.id])
        finally:
            connections.close_all()

    stopping = threading.Thread(target=stop)
    stopping.start()
    found = agents("workers", "drain", worker.id.hex[-8:], "--wait", "--json")
    stopping.join()
    assert found.code == 0
    assert (found.json["drained"], found.json["workers"][0]["state"]) == (True, "stopped")
    other.refresh_from_db()
    assert other.drain_requested_at is None


def test_a_drain_that_does_not_end_exits_with_124(agents: Agents) -> None:
    worker = make_worker()
    assert agents("workers", "drain", str(worker), "--wait", "--timeout", "0.1").code == 124
    assert agents("workers", "drain", "--all").code == 0, "without --wait it only asks"
    assert "asked to drain" in agents.out


# --- queues


def test_queues_are_paused_and_resumed(agents: Agents) -> None:
    make_run(queue="slow", due_at=clock.now() - timedelta(seconds=90))
    found = {each["name"]: each for each in agents("queues", "list", "--json").json["queues"]}
    assert (found["slow"]["pending"], found["slow"]["workers"], found["slow"]["state"]) == (1, 0, "running")
    assert 89 < found["slow"]["oldest_pending_s"] < 120
    assert "No worker serves the queue 'slow'" in agents("queues", "list").err
    assert agents("queues", "pause", "slow", "--reason", "deploy", "--json").json == {
        "queue": "slow", "paused": True, "changed": True
    }  # fmt: skip
    assert PausedQueue.objects.get().reason == "deploy"
    assert "as before" in agents("queues", "pause", "slow").out
    assert "deploy" in agents("queues", "list").out
    assert agents("queues", "resume", "slow").out == "The queue 'slow' is running.\n"
    assert not agents("queues", "resume", "slow", "--json").json["changed"]


# --- users


def belongings(user: Any) -> Run:
    """Something of every kind."""
    now = clock.now()
    thread = make_thread(user=user, values={"secret": "of the user"})
    run = make_run("success", thread=thread)
    make_events(run, 3)
    make_run("running", thread=make_thread(user=user, status="busy"))
    make_thread(user=user, discarded_at=now + timedelta(hours=1))
    StoreItem.objects.create(
        user=user, namespace="notes\x1f", key="k", value={"v": 1}, created_at=now, updated_at=now
    )
    assistant = make_assistant("steps", user=user)
    AssistantVersion.of(assistant).save(force_insert=True)
    Cron.objects.create(user=user, assistant=assistant, schedule="* * * * *", created_at=now, updated_at=now)
    keys.create(user.pk, scopes={"read"}, name="laptop", expires_at=None)
    SavedView.objects.create(user=user, name="mine", query="status=error", shared=True, created_at=now)
    ListColumns.objects.create(user=user, names=["state"])
    return run


def of_users(user_ids: list[int]) -> dict[str, int]:
    models: list[Any] = [Thread, Run, StoreItem, Assistant, Cron, ApiKey, SavedView, ListColumns]
    return {model.__name__: model.objects.filter(user__in=user_ids).count() for model in models}


def test_deleting_a_user_deletes_everything_of_theirs_and_nothing_else(agents: Agents, executed: Any) -> None:
    run = executed("steps")
    user, other = run.user, make_user()
    belongings(user)
    spared = belongings(other)
    before = of_users([other.pk])
    dry = agents("users", "delete", user.username, "--dry-run", "--json").json
    assert dry["dry_run"]
    assert (dry["deleted"]["threads"], dry["deleted"]["runs"], dry["deleted"]["api_keys"]) == (4, 3, 1)
    assert agents("users", "delete", user.username).code == 2, "it needs a yes"
    assert get_user_model().objects.filter(pk=user.pk).exists()
    found = agents("users", "delete", user.username, "--yes", "--json")
    assert found.code == 0, found.err
    assert {
        "threads": 4,
        "runs": 3,
        "crons": 1,
        "api_keys": 1,
        "store_items": 1,
        "saved_views": 1,
        "users": 1,
    }.items() <= found.json["deleted"].items()
    assert found.json["deleted"]["checkpoint_rows"] > 0
    assert set(of_users([user.pk]).values()) == {0}
    assert not get_user_model().objects.filter(pk=user.pk).exists()
    assert of_users([other.pk]) == before
    assert set(RunEvent.objects.values_list("run", flat=True)) == {spared.id}
    assert set(Attempt.objects.values_list("run__user", flat=True)) == {other.pk}
    assert checkpoint_rows(run.thread_id) == 0


def checkpoint_rows(thread_id: Any) -> int:
    """How many rows of checkpoints a thread has; they are deleted."""
    from runs.conf import settings

    return open_pruning(file=settings.CHECKPOINTS_FILE).delete([thread_id], limit=1000)


def test_a_users_export_has_everything_and_no_secret(agents: Agents) -> None:
    user = make_user()
    run = belongings(user)
    belongings(make_user())
    exported = agents("users", "export", user.username)
    assert exported.code == 0
    kinds = [line["kind"] for line in exported.lines]
    assert kinds[0] == "user"
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "user": 1, "thread": 3, "run": 2, "store_item": 1, "assistant": 1, "cron": 1, "api_key": 1,
        "saved_view": 1,
    }  # fmt: skip
    threads = {line["thread_id"]: line for line in exported.lines if line["kind"] == "thread"}
    assert threads[str(run.thread_id)]["values"] == {"secret": "of the user"}
    assert ApiKey.objects.filter(user=user).get().digest not in exported.out
    assert "1 user, 3 thread" in exported.err


# --- graphs


def test_graphs_are_listed_and_drawn(agents: Agents, settings: Any) -> None:
    found = {each["name"]: each for each in agents("graphs", "list", "--json").json["graphs"]}
    assert agents.code == 0
    assert found["steps"]["loads"]
    text = agents("graphs", "draw", "parallel").out
    assert "a\n  ├─▶ b1\n  └─▶ b2\n" in text
    assert agents("graphs", "draw", "parallel", "--format", "mermaid").out.startswith("---\nconfig")
    drawn = agents("graphs", "draw", "nested", "--format", "json", "--subgraphs").json
    assert "child:x" in {node["id"] for node in drawn["nodes"]}


def test_a_graph_that_does_not_load_is_named(agents: Agents, run_settings: Any) -> None:
    run_settings(GRAPHS={"good": "tests.support.graphs:steps", "bad": "tests.support.graphs:nothing"})
    found = agents("graphs", "list", "--json")
    assert found.code == 1
    assert [each["loads"] for each in found.json["graphs"]] == [False, True]
    assert "'bad'" in found.err


# --- doctor


def checks(agents: Agents) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in agents("doctor", "--json").json["checks"]}


def test_the_doctor_finds_what_is_wrong(agents: Agents, run_settings: Any) -> None:
    make_worker(queues=["default"])
    well = checks(agents)
    assert agents.code == 0
    assert {each["state"] for each in well.values()} == {"ok"}
    assert {
        "database",
        "clock",
        "notify",
        "graphs",
        "workers",
        "queues",
        "orphans",
        "settings",
        "api keys",
    } <= set(well)
    make_run(queue="night")
    found = checks(agents)
    assert agents.code == 1
    assert (found["queues"]["state"], "night" in found["queues"]["found"]) == ("failed", True)
    agents("queues", "pause", "night")
    assert checks(agents)["queues"]["state"] in ("warning", "ok")
    assert agents.code == 0
    run_settings(LEASE=-1.0)
    assert checks(agents)["settings"]["state"] == "failed"
    assert agents.code == 1


def test_the_doctor_reports_orphans_and_that_no_worker_runs(agents: Agents) -> None:
    make_run("running", worker=make_worker(stopped=True))
    found = checks(agents)
    assert (found["orphans"]["state"], found["workers"]["state"]) == ("warning", "warning")
    assert agents.code == 0


@pytest.mark.postgresql
def test_the_doctor_sends_a_notification(agents: Agents) -> None:
    make_worker()
    assert connection.vendor == "postgresql"
    assert checks(agents)["notify"]["found"].startswith("a round trip of ")


# --- chat


def test_chat_once_prints_the_answer(agents: Agents, executed: Any) -> None:
    user = make_user()
    found = agents("chat", "talking", "--once", "hello", "--user", user.username)
    assert found.code == 0, found.err
    assert found.out.strip()
    assert "this process executes" in found.err
    thread = Thread.objects.get(user=user)
    assert agents("chat", "--once", "again", "--thread", thread.id).code == 0
    assert Run.objects.filter(thread=thread).count() == 2
    assert agents("chat", "--once", "no", "--thread", thread.id, "--user", make_user().username).code == 1


def test_chat_reports_a_run_that_fails(agents: Agents, executed: Any) -> None:
    found = agents("chat", "failing", "--once", "hello", "--user", make_user().username)
    assert found.code == 1
    assert "The run ended as error." in found.err
