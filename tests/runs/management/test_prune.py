"""`manage.py prune`."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from runs.checks.configuration import check_graphs
from runs.lifecycle.operators.operations import Operator
from runs.management.commands.prune import Command
from runs.models import Erasure, Run, RunEvent, Worker
from runs.retention.erasures import begin
from tests.support.commands import Result, manage
from tests.support.driving import Driver
from tests.support.postgres import free_port
from tests.support.rows import make_events, make_run, make_thread, make_user, make_worker
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread

KEYS = [
    "schema", "dry_run", "events", "runs", "threads_deleted", "threads_trimmed", "threads_discarded",
    "threads_failed", "checkpoint_rows", "store_items", "workers", "assistants", "webhooks", "bulk_actions",
    "records",
    "users", "user_rows", "users_failed", "keys", "tickets", "complete", "duration_s",
]  # fmt: skip
DAY = 86_400.0

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_settings")]


def prune_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Result:
    return Result(capsys, Command(), "prune", *arguments)


def history() -> list[Run]:
    """A thread with three finished runs, 60, 40 and 10 days old, with three events each."""
    thread = make_thread(epoch=1)
    runs = [make_run("success", thread=thread, age=age * DAY) for age in (60, 40, 10)]
    for run in runs:
        make_events(run, 3)
    return runs


def expired(strategy: str = "delete") -> Thread:
    return make_thread(ttl_minutes=1.0, ttl_strategy=strategy, expires_at=clock.now() - timedelta(minutes=1))


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Thread, Run, RunEvent, Worker)]


def test_where_nothing_is_old_nothing_is_removed(capsys: pytest.CaptureFixture[str]) -> None:
    make_events(make_run("success"), 3)
    before = everything()
    result = prune_here(capsys)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Removed 0 events, 0 runs, 0 expired threads, ")
    assert result.out.count("\n") == 1
    assert everything() == before


def test_without_options_the_settings_say_what_is_old(
    capsys: pytest.CaptureFixture[str], run_settings: Any
) -> None:
    _old, _older, young = history()
    gone, kept = expired(), expired("keep_latest")
    make_worker(stopped_at=clock.now() - timedelta(days=8))
    make_thread(discarded_at=clock.now() - timedelta(hours=1))
    result = prune_here(capsys)
    assert result.code == 0
    assert result.out.startswith(
        "Removed 6 events, 0 runs, 1 expired threads, 1 threads of stateless runs, 0 rows of checkpoints, "
        "0 items of the store, 1 workers, "
        "0 webhooks, 0 bulk actions, 0 records, 0 idempotency keys, 0 tickets, "
        "0 users whose deletion was cut off; 1 threads left with their present state only, in "
    )
    assert set(RunEvent.objects.values_list("run", flat=True)) == {young.id}
    assert set(Thread.objects.values_list("id", flat=True)) == {young.thread_id, kept.id}
    assert not Thread.objects.filter(id=gone.id).exists()
    run_settings(RUN_RETENTION=50 * DAY)
    assert prune_here(capsys, "--json").json["runs"] == 1


def test_the_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    history()
    result = prune_here(capsys, "--json")
    assert list(result.json) == KEYS
    assert (result.json["schema"], result.json["events"], result.json["complete"]) == (1, 6, True)
    assert result.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "events", "runs"),
    [
        (["--events-older-than", "5d"], 9, 0),
        (["--events-older-than", "50d"], 3, 0),
        (["--events-older-than", "never"], 0, 0),
        (["--runs-older-than", "50d", "--events-older-than", "never"], 3, 1),
        (["--runs-older-than", "1h", "--events-older-than", "never"], 6, 2),
        (["--runs-older-than", "never"], 6, 0),
    ],
)
def test_ages_overrule_the_settings(
    capsys: pytest.CaptureFixture[str], arguments: list[str], events: int, runs: int
) -> None:
    history()
    found = prune_here(capsys, *arguments, "--json").json
    assert (found["events"], found["runs"]) == (events, runs)
    assert (RunEvent.objects.count(), Run.objects.count()) == (9 - events, 3 - runs)


def test_a_time_is_as_good_as_an_age(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, _ = history()
    moment = (first.created_at + timedelta(days=1)).isoformat()
    assert prune_here(capsys, "--events-older-than", moment, "--json").json["events"] == 3
    assert second.id in RunEvent.objects.values_list("run", flat=True)


def test_expired_threads_can_be_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    thread = expired()
    assert prune_here(capsys, "--no-threads-expired", "--json").json["threads_deleted"] == 0
    assert Thread.objects.filter(id=thread.id).exists()
    assert prune_here(capsys, "--threads-expired", "--json").json["threads_deleted"] == 1


def test_a_dry_run_counts_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    history()
    expired(), expired("keep_latest")
    make_worker(stopped_at=clock.now() - timedelta(days=8))
    before = everything()
    options = ["--runs-older-than", "30d"]
    dry = prune_here(capsys, *options, "--dry-run", "--json").json
    assert everything() == before
    real = prune_here(capsys, *options, "--json").json
    for counted in ("runs", "events", "threads_deleted", "threads_trimmed", "workers"):
        assert dry[counted] == real[counted] > 0, counted
    result = prune_here(capsys, *options, "--dry-run")
    assert result.out.startswith("Dry run, nothing was changed. There are 0 events, 0 runs")


def test_it_stops_after_its_time_and_goes_on_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    history()
    result = prune_here(capsys, "--batch", "1", "--max-seconds", "0")
    assert result.code == 0
    assert result.out.endswith(" The time limit was reached, and there may be more: run it again.\n")
    assert RunEvent.objects.count() == 8
    found = [prune_here(capsys, "--batch", "1", "--max-seconds", "0", "--json").json for _ in range(6)]
    assert [each["events"] for each in found] == [1, 1, 1, 1, 1, 0]
    assert [each["complete"] for each in found] == [False] * 5 + [True]
    assert RunEvent.objects.count() == 3


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.management.commands.prune.PROGRESS", 0.0)
    history()
    result = prune_here(capsys, "--json")
    assert result.json["events"] == 6
    assert "So far: 6 events, 0 runs" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--events-older-than", "yesterday"],
        ["--events-older-than", "-1d"],
        ["--runs-older-than", "2x"],
        ["--runs-older-than", ""],
        ["--batch", "0"],
        ["--batch", "many"],
        ["--batch", "10001"],
        ["--max-seconds", "-1"],
        ["--max-seconds", "nan"],
        ["--nonsense"],
        ["surplus"],
    ],
)
def test_wrong_usage_exits_with_2_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    history()
    before = everything()
    result = prune_here(capsys, *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err
    assert everything() == before


@pytest.mark.parametrize(
    "wrong", [{"EVENT_RETENTION": -1}, {"RUN_RETENTION": "30d"}, {"THREAD_TTL_STRATEGY": "archive"}]
)
def test_with_settings_that_are_wrong_nothing_is_removed(
    capsys: pytest.CaptureFixture[str], run_settings: Any, wrong: dict[str, Any]
) -> None:
    history()
    run_settings(**wrong)
    result = prune_here(capsys)
    assert (result.code, result.out) == (1, "")
    assert f"RUNS['{next(iter(wrong))}'] is {next(iter(wrong.values()))!r}" in result.err
    assert RunEvent.objects.count() == 9


def test_a_graph_that_cannot_be_imported_does_not_stop_it(
    capsys: pytest.CaptureFixture[str], run_settings: Any
) -> None:
    history()
    run_settings(GRAPHS={"steps": "no.such.module:graph"})
    assert [problem.id for problem in check_graphs(None)] == ["runs.E001"]
    assert prune_here(capsys, "--json").json["events"] == 6


def test_threads_that_cannot_be_pruned_exit_with_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def keep_latest(self, *arguments: Any, **options: Any) -> int:
            raise ValueError("illegible")

    monkeypatch.setattr("runs.management.commands.prune.open_pruning", lambda **options: Broken())
    expired("keep_latest")
    result = prune_here(capsys, "--json")
    assert (result.code, result.json["threads_failed"]) == (4, 1)
    assert "Not pruned: 1 threads, 0 users; the log says why." in result.err


def test_a_user_who_cannot_be_deleted_exits_with_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()
    begin(user.pk, Operator("ada", "command"))
    Erasure.objects.update(touched_at=clock.now() - timedelta(minutes=5))
    assert prune_here(capsys, "--dry-run", "--json").json["users"] == 1

    def broken(*_: Any) -> Any:
        raise ValueError("illegible")

    monkeypatch.setattr("runs.retention.users._threads", broken)
    result = prune_here(capsys, "--json")
    assert (result.code, result.json["users_failed"], result.json["users"]) == (4, 1, 0)
    assert Erasure.objects.get().why == "illegible"


def test_the_help_explains_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    result = prune_here(capsys, "--help")
    assert result.code == 0
    for code in ("0 ", "1 ", "2 ", "4 "):
        assert f"\n  {code}" in result.out


async def test_beside_a_server_that_executes_runs_it_prunes_and_disturbs_none(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    """A separate process, on the server's database and checkpoints, while runs start and end."""
    old = [await driver.finish(await driver.start("steps")) for _ in range(4)]
    past = clock.now() - timedelta(minutes=1)
    threads = [run.thread_id for run in old]

    def let_expire() -> None:
        Thread.objects.filter(id__in=threads[:2]).update(
            ttl_minutes=1, ttl_strategy="delete", expires_at=past
        )
        Thread.objects.filter(id__in=threads[2:]).update(
            ttl_minutes=1, ttl_strategy="keep_latest", expires_at=past
        )
        for _ in range(40):
            make_events(make_run("success", age=40 * DAY), 50)

    await in_database(let_expire)
    environment = await in_database(served_database)
    process = asyncio.create_task(
        asyncio.to_thread(manage, "prune", "--json", "--batch", "100", **environment)
    )
    runs = []
    while not process.done():
        runs.append(await driver.finish(await driver.start("steps")))
    result = await process
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["threads_deleted"], found["threads_trimmed"]) == (2, 2)
    assert found["events"] >= 2000
    assert found["checkpoint_rows"] > 0
    assert runs
    assert {run.status for run in runs} == {"success"}
    for run in old[2:]:
        again = await driver.finish(await driver.start("steps", thread=run.thread_id))
        assert again.status == "success"
        assert again.thread.values["log"] == run.thread.values["log"] * 2


def served_database() -> dict[str, str]:
    """The environment that gives a separate process this test's database."""
    from runs.conf import settings

    data = Path(settings.CHECKPOINTS_FILE).parent
    database = connection.settings_dict
    if connection.vendor == "postgresql":
        url = f"postgresql://{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    else:
        url = f"sqlite:///{database['NAME']}"
    return {"DATA_DIR": str(data), "DATABASE_URL": url}


# --- as a separate process


def test_a_database_without_tables_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").touch()
    result = manage("prune", "--json", DATA_DIR=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        result.stderr == "CommandError: The database is not migrated: run `python manage.py migrate` first.\n"
    )


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    result = manage("prune", DATA_DIR=str(tmp_path), DATABASE_URL=url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("CommandError: The database cannot be reached: ")
    assert result.stderr.count("\n") == 1
