"""`manage.py reconcile_runs`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from runs.checks.configuration import check_graphs
from runs.management.commands.reconcile_runs import Command
from runs.models import Run, Worker
from tests.support.commands import Result, manage
from tests.support.driving import Driver
from tests.support.postgres import free_port
from tests.support.rows import make_run, make_worker, orphan
from threads.db.database import in_database

KEYS = [
    "schema",
    "dry_run",
    "examined",
    "requeued",
    "failed",
    "skipped",
    "unsettled",
    "complete",
    "duration_s",
]

pytestmark = pytest.mark.django_db(transaction=True)


def reconcile_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Result:
    return Result(capsys, Command(), "reconcile_runs", *arguments)


def statuses() -> dict[Any, str]:
    return dict(Run.objects.values_list("id", "status"))


def test_without_orphans_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    done = make_run("success")
    result = reconcile_here(capsys)
    assert (result.code, result.out) == (0, "There are no orphaned runs.\n")
    assert statuses() == {done.id: "success"}


def test_orphans_are_resumed_or_failed_with_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    first, worn, strict = orphan(), orphan(lost_attempts=2, attempt=3), orphan(recovery="error")
    cancelled = orphan(cancel_action="rollback")
    result = reconcile_here(capsys)
    assert result.code == 0
    lines = result.out.splitlines()
    assert set(lines[:4]) == {
        f"{first.id} resumed: its process was lost in 1 of 1 attempts, at most 2 are allowed",
        f"{cancelled.id} resumed: only to finish its cancellation (rollback)",
        f"{worn.id} marked as failed: The process that executed this run was lost in 3 of its 3 attempts; it is not "
        "tried again.",
        f"{strict.id} marked as failed: The server restarted before this run reached a durable final state.",
    }
    assert lines[4].startswith(
        "4 orphaned runs examined, 2 resumed, 2 failed, 0 skipped, 0 not repaired, in "
    )
    assert len(lines) == 5
    expected = {first.id: "pending", cancelled.id: "pending", worn.id: "error", strict.id: "error"}
    assert statuses() == expected
    assert reconcile_here(capsys).out == "There are no orphaned runs.\n"


def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    resumed, failed = orphan(), orphan(recovery="error")
    result = reconcile_here(capsys, "--json")
    assert result.code == 0
    assert list(result.json) == KEYS
    assert result.json | {"duration_s": 0} == {
        "schema": 1,
        "dry_run": False,
        "examined": 2,
        "requeued": [str(resumed.id)],
        "failed": [str(failed.id)],
        "skipped": [],
        "unsettled": [],
        "complete": True,
        "duration_s": 0,
    }
    assert result.out.count("\n") == 1


def test_a_dry_run_says_what_would_happen_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    resumed, worn, strict = orphan(), orphan(lost_attempts=2, attempt=3), orphan(recovery="error")
    before = list(Run.objects.order_by("id").values()), list(Worker.objects.order_by("id").values())
    result = reconcile_here(capsys, "--dry-run")
    assert result.code == 0
    assert set(result.out.splitlines()[:3]) == {
        f"{resumed.id} would be resumed: its process was lost in 1 of 1 attempts, at most 2 are allowed",
        f"{worn.id} would be marked as failed: its process was lost in 3 of 3 attempts",
        f"{strict.id} would be marked as failed: its policy, or --action, says so",
    }
    assert "Dry run, nothing was changed: 3 orphaned runs examined" in result.out
    assert (list(Run.objects.order_by("id").values()), list(Worker.objects.order_by("id").values())) == before


def test_a_dry_run_can_report_drift_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert reconcile_here(capsys, "--dry-run", "--exit-code").code == 0
    run = orphan()
    result = reconcile_here(capsys, "--dry-run", "--exit-code", "--json")
    assert (result.code, result.json["requeued"]) == (3, [str(run.id)])
    assert "There are orphans: 1 runs." in result.err
    assert reconcile_here(capsys, "--dry-run").code == 0
    assert reconcile_here(capsys).code == 0


@pytest.mark.parametrize("action", ["resume", "error"])
def test_an_action_overrules_the_policies(capsys: pytest.CaptureFixture[str], action: str) -> None:
    runs = [orphan(recovery=recovery) for recovery in ("", "resume", "error")]
    assert reconcile_here(capsys, "--action", action).code == 0
    expected = {"resume": "pending", "error": "error"}[action]
    assert statuses() == {run.id: expected for run in runs}


def test_before_leaves_younger_runs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    old, young = orphan(age=7300), orphan(age=60)
    assert reconcile_here(capsys, "--before", "2h", "--json").json["requeued"] == [str(old.id)]
    assert statuses() == {old.id: "pending", young.id: "running"}
    later = young.created_at.isoformat()
    assert reconcile_here(capsys, "--before", later, "--json").json["examined"] == 0
    assert reconcile_here(capsys, "--before", "now", "--json").json["requeued"] == [str(young.id)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--before", "yesterday"],
        ["--before", "2x"],
        ["--before", ""],
        ["--before", "-1h"],
        ["--before", "²d"],
        ["--before", "99999999999d"],
        ["--before", "0001-01-01T00:00:00+23:59"],
        ["--action", "requeue"],
        ["--exit-code"],
        ["--nonsense"],
        ["surplus"],
    ],
)
def test_wrong_usage_exits_with_2_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    run = orphan()
    result = reconcile_here(capsys, *arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err
    assert statuses() == {run.id: "running"}


def test_a_bad_time_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        "'2x' is neither an ISO time nor an age such as 2h." in reconcile_here(capsys, "--before", "2x").err
    )


def test_the_help_explains_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    result = reconcile_here(capsys, "--help")
    assert result.code == 0
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "75 "):
        assert f"\n  {code}" in result.out or f"\n{code}" in result.out


def test_a_graph_that_cannot_be_imported_does_not_stop_it(
    capsys: pytest.CaptureFixture[str], run_settings: Any
) -> None:
    run = orphan()
    run_settings(GRAPHS={"steps": "no.such.module:graph"})
    assert [problem.id for problem in check_graphs(None)] == ["runs.E001"]
    assert reconcile_here(capsys).code == 0
    assert statuses() == {run.id: "pending"}


@pytest.fixture
def refusal() -> Iterator[Any]:
    """Let the database refuse every change of one run."""
    postgres = connection.vendor == "postgresql"

    def refuse(run: Run) -> None:
        with connection.cursor() as cursor:
            if postgres:
                cursor.execute(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RAISE EXCEPTION 'refused'; END $$"
                )
                cursor.execute(
                    f"CREATE TRIGGER refuse BEFORE UPDATE ON runs_run FOR EACH ROW WHEN (OLD.id = '{run.id}') "
                    "EXECUTE FUNCTION refuse()"
                )
            else:
                cursor.execute(
                    f"CREATE TRIGGER refuse BEFORE UPDATE ON runs_run FOR EACH ROW WHEN OLD.id = '{run.id.hex}' "
                    "BEGIN SELECT RAISE(ABORT, 'refused'); END"
                )

    yield refuse
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON runs_run" if postgres else "DROP TRIGGER refuse")
        if postgres:
            cursor.execute("DROP FUNCTION refuse")


def test_runs_that_cannot_be_repaired_exit_with_4_and_do_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], refusal: Any
) -> None:
    stuck, other = orphan(age=5), orphan()
    refusal(stuck)
    result = reconcile_here(capsys, "--json")
    assert result.code == 4
    assert (result.json["unsettled"], result.json["requeued"]) == ([str(stuck.id)], [str(other.id)])
    assert "Not repaired: 1 runs" in result.err
    assert statuses() == {stuck.id: "running", other.id: "pending"}
    assert f"{stuck.id} not repaired: the log says why" in reconcile_here(capsys).out


async def test_beside_a_running_server_it_settles_what_is_proved_lost(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = await driver.start("sleeping", {"log": [], "delay": 60.0})
    await driver.executing(busy, "sleep")
    result = await in_database(reconcile_here, capsys, "--json", "--dry-run")
    assert result.json["examined"] == 0
    lost = await in_database(orphan, recovery="error")
    silent = await in_database(make_run, "running", worker=await in_database(make_worker), recovery="error")
    result = await in_database(reconcile_here, capsys, "--json")
    settled = set(result.json["failed"])
    # The server's own sweep may have been faster.
    assert settled <= {str(lost.id), str(silent.id)}
    if connection.vendor != "postgresql":
        # The server holds the lock that would prove the other worker dead.
        assert str(silent.id) not in settled
    assert (await driver.until(lost, "error")).status == "error"
    assert (await driver.row(busy)).status == "running"


async def test_reconciling_twice_at_once_settles_each_run_once(
    transactional_db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    from runs.lifecycle.reconcile import reconcile
    from threads.db.database import threads

    runs = [await in_database(orphan) for _ in range(12)]
    reports = await asyncio.gather(*(in_database(reconcile) for _ in range(2)))
    settled = [run_id for report in reports for run_id in report.requeued]
    assert sorted(settled) == sorted(str(run.id) for run in runs)
    rows = await in_database(lambda: list(Run.objects.values_list("status", "lost_attempts")))
    assert rows == [("pending", 1)] * 12
    threads.close()


# --- as a separate process


def test_a_database_without_tables_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").touch()
    result = manage("reconcile_runs", "--json", DATA_DIR=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        result.stderr == "CommandError: The database is not migrated: run `python manage.py migrate` first.\n"
    )


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    result = manage("reconcile_runs", DATA_DIR=str(tmp_path), DATABASE_URL=url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("CommandError: The database cannot be reached: ")
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").write_text("something else\n" * 100)
    result = manage("reconcile_runs", DATA_DIR=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "CommandError: The database cannot be used: file is not a database\n"


def test_the_result_is_on_stdout_and_the_log_on_stderr(tmp_path: Path) -> None:
    run = orphan()
    settings = connection.settings_dict
    url = f"sqlite:///{settings['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgresql://{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
    result = manage("reconcile_runs", "--json", DATA_DIR=str(tmp_path), DATABASE_URL=url)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["requeued"] == [str(run.id)]
    assert "INFO runs.lifecycle.reconcile: Reconciled 1 orphaned runs" in result.stderr
