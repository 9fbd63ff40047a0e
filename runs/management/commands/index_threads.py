"""`manage.py index_threads`: make threads of an earlier version findable by their text."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from runs.management.arguments import positive
from runs.management.databases import require_migrated_database, require_reachable_database
from threads.texts.backfill import missing_texts


class Command(BaseCommand):
    help = (
        "Write the searchable text of threads that have none yet, the newest first. "
        "Safe to run at any time: transactions are short, and threads in use are left to their next run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--most", type=positive, metavar="N", help="Read at most about this many threads (default: all)."
        )

    def handle(self, *, most: int | None, **options: Any) -> None:
        require_reachable_database()
        require_migrated_database()
        read = 0
        for count in missing_texts():
            read += count
            if most is not None and read >= most:
                break
        self.stdout.write(f"Read {read} threads.")
