"""`agents runs cancel`, `retry` and `requeue` with `--matching`."""

from __future__ import annotations

from typing import Any

import pytest

from runs.management.agents.run_verbs import matching
from runs.models import BulkAction, Run, RunAction
from tests.support.commands import Agents
from tests.support.rows import make_run, make_thread, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def failed_of(user: Any, count: int) -> list[Run]:
    return [make_run("error", thread=make_thread(user=user)) for _ in range(count)]


def test_runs_that_match_are_retried_on_record(agents: Agents) -> None:
    ada = make_user()
    runs = failed_of(ada, 2)
    failed_of(make_user(), 1)
    search = f"status:error user:{ada.username}"
    found = agents("runs", "retry", "--matching", search, "--reason", "mended", "--yes", "--json")
    assert found.code == 0
    bulk = BulkAction.objects.get()
    assert found.json == {
        "bulk_action": str(bulk.id), "state": "finished", "total": 2, "done": 2, "refused": 0, "failed": 0,
        "refusals": [],
    }  # fmt: skip
    parents = Run.objects.exclude(parent=None).values_list("parent_id", flat=True)
    assert sorted(parents) == sorted(run.id for run in runs)
    assert (bulk.origin, bulk.reason) == ("command", "mended")
    assert bulk.criterion == f"?q=status%3Aerror+user%3A{ada.username}"
    record = RunAction.objects.get(run=runs[0].id)
    assert (record.kind, record.origin, record.reason) == ("retry", "command", "mended")


def test_refusals_are_named_and_change_the_exit_code_of_a_retry(agents: Agents) -> None:
    ada = make_user()
    (failed,) = failed_of(ada, 1)
    pending = make_run(thread=make_thread(user=ada))
    retried = agents("runs", "retry", "--matching", f"user:{ada.username}", "--yes")
    assert retried.code == 1
    assert retried.out == (
        f"{pending.id}  This cannot be done: the run is still pending.\n2 total, 1 done, 1 refused, 0 failed\n"
    )
    cancelled = agents("runs", "cancel", "--matching", f"user:{ada.username}", "--yes")
    assert cancelled.code == 0
    assert f"{failed.id}  This cannot be done: the run has ended (error)." in cancelled.out
    assert Run.objects.get(id=pending.id).status == "interrupted"


def test_many_need_a_yes(agents: Agents) -> None:
    make_run()
    refused = agents("runs", "cancel", "--matching", "status:pending", "--action", "rollback")
    assert refused.code == 2
    assert "1 run will be stopped and removed" in refused.err
    assert "--yes" in refused.err
    assert not BulkAction.objects.exists()


def test_nothing_to_do_is_no_error_unless_the_runs_cannot_be(agents: Agents) -> None:
    make_run("success")
    none = agents("runs", "retry", "--matching", "status:error", "--json")
    assert (none.code, none.json["total"], none.err) == (0, 0, "No run matches.\n")
    ended = agents("runs", "cancel", "--matching", "status:success")
    assert (ended.code, ended.out) == (0, "")
    idle = agents("runs", "requeue", "--matching", "status:success")
    assert idle.code == 1
    assert "This run cannot be requeued because it is not running." in idle.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retry"], "Name a run, or choose several"),
        (["retry", "0193", "--matching", "status:error"], "Name a run, or choose several"),
        (["cancel", "0193", "--matching", "status:error"], "name no runs and no filters"),
        (["cancel", "--all-matching", "--matching", "status:error"], "name no runs and no filters"),
        (["cancel", "--queue", "slow", "--matching", "status:error"], "name no runs and no filters"),
        (["cancel", "--matching", "status:eror"], "There is no status 'eror'"),
        (["cancel", "--matching", " "], "Give a condition"),
    ],
)
def test_wrong_usage(agents: Agents, arguments: list[str], said: str) -> None:
    found = agents("runs", *arguments, "--yes")
    assert found.code == 2
    assert said in found.err
    assert not BulkAction.objects.exists()


def test_ctrl_c_stops_it_for_the_workers_too(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run()

    def interrupted(*given: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(matching, "advance", interrupted)
    assert agents("runs", "cancel", "--matching", "status:pending", "--yes").code == 130
    assert BulkAction.objects.get().state == "stopped"
    assert Run.objects.get().status == "pending"
