"""`manage.py prune`: remove data beyond its retention; for cron jobs, or before a shorter retention."""

from __future__ import annotations

import json
import time
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from runs.checks.configuration import check_settings
from runs.conf import settings
from runs.deletion import ROWS
from runs.management.arguments import seconds
from runs.management.databases import require_migrated_database, require_reachable_database
from runs.management.times import before_time
from runs.retention import policy as retention
from runs.retention.policy import Policy, Report
from threads.checkpoints.opening import open_pruning
from threads.db import clock

#: The version of the JSON that `--json` prints.
SCHEMA = 1
UNPRUNED = 4
#: Maximum rows that one transaction may remove, because on SQLite all writers wait for it.
LARGEST_BATCH = 10_000
#: How often progress is shown, in seconds.
PROGRESS = 2.0

EPILOG = """\
exit codes:
  0   done, or --max-seconds have passed; run it again for the rest
  1   an unexpected error, or a database that cannot be used
  2   wrong usage
  4   some threads or users could not be pruned; the log says why

Servers do the same every RETENTION_SWEEP seconds. Any number of these commands may run at once, also while servers
run: each transaction is short, checks again what it removes, and skips locked threads.
"""


def age(text: str) -> datetime | None:
    return None if text == "never" else before_time(text)


def batch_size(text: str) -> int:
    try:
        size = int(text)
    except ValueError:
        size = 0
    if not 1 <= size <= LARGEST_BATCH:
        raise ArgumentTypeError(f"{text!r} is not a whole number between 1 and {LARGEST_BATCH}.")
    return size


class Command(BaseCommand):
    help = (
        "Remove data beyond its retention: events, finished runs, expired threads with their checkpoints. "
        "Safe to run at any time."
    )
    #: No checks, because a broken graph must not stop the removal. The retention settings are checked
    #: separately.
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EPILOG, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        for kind, name in (("events", "EVENT_RETENTION"), ("runs", "RUN_RETENTION")):
            parser.add_argument(
                f"--{kind}-older-than", type=age, default=..., metavar="AGE",
                help=f"Remove {kind} of runs that ended before an age such as 12h or 30d, or an ISO time; `never` for "
                f"none (default: {name}).",
            )  # fmt: skip
        parser.add_argument(
            "--threads-expired", action="store_true", default=True, help="Prune expired threads (default)."
        )
        parser.add_argument(
            "--no-threads-expired", action="store_false", dest="threads_expired", help="Leave them."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Change nothing; print what would be removed."
        )
        parser.add_argument(
            "--batch", type=batch_size, default=ROWS, metavar="N",
            help=f"Maximum rows of one transaction (default: {ROWS}).",
        )  # fmt: skip
        parser.add_argument("--max-seconds", type=seconds, metavar="S", help="Stop after this time.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *, dry_run: bool, max_seconds: float | None, **options: Any) -> None:
        if problems := check_settings(None):
            raise CommandError("\n".join(str(problem.msg) for problem in problems))
        require_reachable_database()
        require_migrated_database()
        try:
            clock.ask()
            report = self._report(self._policy(options), dry_run=dry_run, max_seconds=max_seconds)
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {' '.join(str(error).split())}") from error
        shown = {"schema": SCHEMA, **asdict(report)}
        self.stdout.write(json.dumps(shown) if options["json"] else summary(report))
        if report.threads_failed or report.users_failed:
            text = (
                f"Not pruned: {report.threads_failed} threads, {report.users_failed} users; the log says why."
            )
            raise CommandError(text, returncode=UNPRUNED)

    @staticmethod
    def _policy(options: dict[str, Any]) -> Policy:
        policy = replace(Policy.of_settings(), threads=options["threads_expired"], rows=options["batch"])
        given = {
            "events_before": options["events_older_than"],
            "runs_before": options["runs_older_than"],
        }
        return replace(policy, **{name: value for name, value in given.items() if value is not ...})

    def _report(self, policy: Policy, *, dry_run: bool, max_seconds: float | None) -> Report:
        if dry_run:
            return retention.survey(policy)
        shown = time.monotonic()

        def progress(report: Report) -> None:
            nonlocal shown
            if time.monotonic() - shown >= PROGRESS:
                shown = time.monotonic()
                self.stderr.write(f"So far: {removed(report)}.", self.style.NOTICE)

        pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
        return retention.prune(policy, pruning, max_seconds=max_seconds, progress=progress)


def removed(report: Report) -> str:
    """The counts of a report as text."""
    return (
        f"{report.events} events, {report.runs} runs, {report.threads_deleted} expired threads, "
        f"{report.threads_discarded} threads of stateless runs, {report.checkpoint_rows} rows of checkpoints, "
        f"{report.store_items} items of the store, {report.workers} workers, "
        f"{report.webhooks} webhooks, {report.bulk_actions} bulk actions, {report.records} records, "
        f"{report.keys} idempotency keys, "
        f"{report.tickets} tickets, {report.users} users whose deletion was cut off; "
        f"{report.threads_trimmed} threads left with their present state only"
    )


def summary(report: Report) -> str:
    if report.dry_run:
        return f"Dry run, nothing was changed. There are {removed(report)}."
    rest = "" if report.complete else " The time limit was reached, and there may be more: run it again."
    return f"Removed {removed(report)}, in {report.duration_s:g} s.{rest}"
