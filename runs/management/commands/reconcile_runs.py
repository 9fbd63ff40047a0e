"""`manage.py reconcile_runs`: find and settle orphans, for deployment scripts."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from runs.conf import settings
from runs.lifecycle.reconcile import Report, reconcile
from runs.management.databases import one_line, require_migrated_database, require_reachable_database
from runs.management.times import before_time
from runs.models import Run
from runs.process.notifications import notify_after_commit
from runs.process.wakeups import WORK

#: The version of the JSON that `--json` prints.
SCHEMA = 1
GONE = "it was deleted meanwhile"
USAGE, DRIFT, UNSETTLED = 2, 3, 4

EPILOG = """\
exit codes:
  0   nothing is left to do, or everything was repaired
  1   an unexpected error, or a database that cannot be used
  2   wrong usage
  3   with --dry-run --exit-code: there are orphans
  4   some runs could not be repaired; run it again

75 ("another reconciler holds the lock") is never used: any number of reconcilers may run at once, also
while servers run, because each run is settled in a transaction that checks it again. On SQLite, a server
that executes runs holds a lock, which proves that earlier processes are dead, and settles their runs
itself. Meanwhile this command finds only orphans of workers that are marked as stopped.
"""


class Command(BaseCommand):
    help = "Settle the runs whose process has died: resume them, or mark them as failed. Safe to run at any time."
    #: No checks, because a broken graph must not stop the repair of other graphs' runs.
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EPILOG, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Change nothing; print what would happen.")
        parser.add_argument(
            "--before", type=before_time, metavar="TIME",
            help="Only runs created before an ISO time, or older than an age such as 90s, 30m, 2h or 1d.",
        )  # fmt: skip
        parser.add_argument(
            "--action", choices=("auto", "resume", "error"), default="auto",
            help="Resume or fail all of them, or `auto`: follow the run's or the site's policy (default: auto). "
            "The number of attempts is limited in any case.",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")
        parser.add_argument(
            "--exit-code", action="store_true", help="With --dry-run: exit with 3 if there are orphans."
        )

    def handle(
        self,
        *,
        dry_run: bool,
        before: datetime | None,
        action: str,
        exit_code: bool,
        **options: Any,
    ) -> None:
        if exit_code and not dry_run:
            raise CommandError("--exit-code needs --dry-run.", returncode=USAGE)
        require_reachable_database()
        require_migrated_database()
        try:
            report = reconcile(action=action, before=before, dry_run=dry_run)
            if not dry_run:
                # Wakes the failed runs' readers, and the processes that can execute the others.
                settled = [UUID(run_id) for run_id in report.failed]
                notify_after_commit([*settled, *([WORK] if report.requeued else [])])
            lines = [json.dumps({"schema": SCHEMA, **asdict(report)})] if options["json"] else summary(report)
            self.stdout.write("\n".join(lines))
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {one_line(error)}") from error
        except OSError as error:
            raise CommandError(f"The lock file of this SQLite database cannot be used: {error}") from error
        if report.unsettled:
            text = f"Not repaired: {len(report.unsettled)} runs; the log says why. Run this command again."
            raise CommandError(text, returncode=UNSETTLED)
        if exit_code and report.examined:
            raise CommandError(f"There are orphans: {report.examined} runs.", returncode=DRIFT)


def summary(report: Report) -> Iterator[str]:
    """One line for each run, and a final summary."""
    yield from _lines(report)
    if not report.examined:
        yield "There are no orphaned runs."
        return
    verdict = "Dry run, nothing was changed: " if report.dry_run else ""
    yield (
        f"{verdict}{report.examined} orphaned runs examined, {len(report.requeued)} resumed, {len(report.failed)} failed, "
        f"{len(report.skipped)} skipped, {len(report.unsettled)} not repaired, in {report.duration_s:g} s."
    )


def _lines(report: Report) -> Iterator[str]:
    shown = ("attempt", "lost_attempts", "cancel_action", "error")
    runs = {
        str(pk): run
        for pk, run in Run.objects.only(*shown).in_bulk([*report.requeued, *report.failed]).items()
    }
    would = "would be " if report.dry_run else ""
    for run_id in report.requeued:
        yield f"{run_id} {would}resumed: {_how_resumed(runs.get(run_id), report)}"
    for run_id in report.failed:
        yield f"{run_id} {would}marked as failed: {_why_failed(runs.get(run_id), report)}"
    for run_id in report.skipped:
        yield f"{run_id} skipped: another process settled it meanwhile"
    for run_id in report.unsettled:
        yield f"{run_id} not repaired: the log says why"


def _how_resumed(run: Run | None, report: Report) -> str:
    if run is None:
        return GONE
    if run.cancel_action:
        return f"only to finish its cancellation ({run.cancel_action})"
    lost = run.lost_attempts + report.dry_run
    return f"its process was lost in {lost} of {run.attempt} attempts, at most {settings.MAX_ATTEMPTS - 1} are allowed"


def _why_failed(run: Run | None, report: Report) -> str:
    if run is None:
        return GONE
    error: Any = run.error
    if error:
        return str(error["message"])
    if run.lost_attempts + 1 >= settings.MAX_ATTEMPTS:
        return f"its process was lost in {run.lost_attempts + 1} of {run.attempt} attempts"
    return "its policy, or --action, says so"
