"""`manage.py agents`: look at runs, threads, workers, queues, users and graphs, and act on them.

One command with sub-parsers, so that a site's own commands keep their names. It is thin: the admin
and the API call the same functions.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from runs.exceptions import RunsError
from runs.management.agents import chat, doctor, graphs, queues, runs, threads, users, workers
from runs.management.agents.printing.output import Output
from runs.management.arguments import require_text
from runs.management.databases import require_migrated_database, require_reachable_database

#: The exit code after Ctrl-C.
STOPPED = 130

EPILOG = """\
exit codes:
  0   done
  1   an error, or it cannot be done, or a database that cannot be used
  2   wrong usage
 10 to 14  with --exit-status: the run failed (10), waits for an answer (11), was cancelled (12), ran too long (13),
      or has not ended (14)
124   a time limit of the command was reached
"""


class Command(BaseCommand):
    help = "Look at runs, threads, workers, queues, users and graphs, and act on them."
    #: No checks, because a broken graph must not hide the others. `agents doctor` reports them.
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EPILOG, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        nouns = parser.add_subparsers(title="nouns", metavar="NOUN", required=True)
        for module in (runs, threads, workers, queues, users, graphs, doctor, chat):
            module.add(nouns)

    def handle(self, **options: Any) -> None:
        given = Namespace(**options)
        require_text(options)
        out = Output(self.stdout, self.stderr, as_json=given.as_json)
        try:
            if getattr(given, "needs_database", True):
                require_reachable_database()
                require_migrated_database()
            code = given.do(given, out)
        except RunsError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {' '.join(str(error).split())}") from error
        except BrokenPipeError:
            # The reader, such as `head`, has enough. Python would report it again at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        except KeyboardInterrupt:
            sys.exit(STOPPED)
        if code:
            sys.exit(code)
