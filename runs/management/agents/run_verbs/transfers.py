"""`agents runs export` and `import`: a run as a file, to look at it elsewhere."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from django.core.management.base import CommandError

from runs.events.endings import removed
from runs.exceptions import LogRemoved
from runs.lifecycle.operators.transfers import exported, imported
from runs.management.agents.parsing import Noun, by_id, by_username
from runs.management.agents.printing.output import Output
from runs.management.agents.run_verbs.actions import operator
from runs.models import Run, RunEvent


def add(noun: Noun) -> None:
    parser = noun.verb("export", export_run, "Print a run and its events as lines of JSON.", as_json=False)
    parser.add_argument("run", help="The run's id, or the beginning or the end of it.")
    parser = noun.verb("import", import_run, "Create a finished run of an exported file, to look at it.")
    parser.add_argument("file", help="The file, or - for stdin.")
    parser.add_argument("--user", required=True, metavar="NAME", help="The user who gets the run.")


def export_run(given: Namespace, out: Output) -> None:
    run = by_id(Run.objects.select_related("thread", "user", "assistant"), given.run)
    for line in exported(run):
        out.line(line)
    out.say(f"Exported run {run.id} with {RunEvent.objects.filter(run_id=run.id).count()} events.")
    if removed(run.id):
        out.say(str(LogRemoved()))


def import_run(given: Namespace, out: Output) -> None:
    user, by = by_username(given.user), operator()
    if given.file == "-":
        run = imported(sys.stdin, user_id=user.pk, by=by)
    else:
        try:
            with Path(given.file).open(encoding="utf-8") as lines:
                run = imported(lines, user_id=user.pk, by=by)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The file cannot be read: {error}") from error
    if out.as_json:
        out.object(run_id=str(run.id), thread_id=str(run.thread_id))
    else:
        out.line(str(run.id))
