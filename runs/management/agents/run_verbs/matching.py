"""`agents runs cancel`, `retry` and `requeue` with `--matching`: bulk actions, as in the admin."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import cast

from django.core.management.base import CommandError, CommandParser
from django.utils.http import urlencode

from runs.exceptions import InvalidRequest
from runs.lifecycle.operators.bulk.estimating import Estimate, estimate
from runs.lifecycle.operators.bulk.handling import Step, advance, begin, stop
from runs.lifecycle.operators.operations import Operator
from runs.management.agents.parsing import confirmed
from runs.management.agents.printing.output import Output
from runs.models import BulkAction, BulkKind, BulkTarget, Run
from runs.models.querysets import RunQuerySet
from threads.db.ids import new_id

#: Seconds between two reports of the progress, and pauses while a limit or another process makes it wait.
REPORT, PAUSE = 2.0, 0.5
CANCELS = (BulkKind.CANCEL, BulkKind.ROLL_BACK)


def add_matching(parser: CommandParser) -> None:
    parser.add_argument(
        "--matching", metavar="SEARCH",
        help="All runs that a search of the admin's list finds, such as 'status:error user:ada'.",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="Do not ask.")


def act_on_matching(kind: BulkKind, given: Namespace, by: Operator, out: Output) -> int:
    """Act on all runs that match; return the exit code."""
    until, rows = new_id(), _matching(given.matching)
    found = estimate(kind, rows)
    if found.impossible:
        return _nothing(found, out)
    if not confirmed(out, f"{found.sentence} {found.refusal}".strip(), yes=given.yes):
        raise CommandError("Nothing was done.")
    try:
        criterion = f"?{urlencode({'q': given.matching})}"
        bulk = begin(kind, rows, by, reason=given.reason, criterion=criterion, until=until)
    except InvalidRequest as error:
        raise CommandError(str(error)) from error
    _follow(bulk, out)
    _report(bulk, out)
    # A run that has ended since it was matched is what the operator of a cancel wants.
    return 1 if bulk.failed or (bulk.refused and kind not in CANCELS) else 0


def _nothing(found: Estimate, out: Output) -> int:
    """Say that there is nothing to do; a script that finds no runs, or none to cancel, is content."""
    if found.runs and found.kind not in CANCELS:
        raise CommandError(found.refusal)
    out.say(found.refusal)
    if out.as_json:
        counted = {"total": found.runs, "done": 0, "refused": found.unable, "failed": 0}
        out.object(bulk_action=None, state=None, **counted, refusals=[])
    return 0


def _matching(search: str) -> RunQuerySet:
    # Not above: it imports the pages of the admin, which a site may not have installed.
    from runs.admin.run_search.matching import matching
    from runs.admin.run_search.terms import UnknownTerm, parsed

    try:
        terms = parsed(search)
        if not terms:
            raise CommandError("Give a condition, such as 'status:error'.", returncode=2)
        found = matching(Run.objects.all(), terms, reads=True)
    except UnknownTerm as error:
        raise CommandError(str(error), returncode=2) from error
    return cast("RunQuerySet", found.rows)


def _follow(bulk: BulkAction, out: Output) -> None:
    """Handle the runs to the end, beside the workers, which would continue if this process died."""
    try:
        while (step := advance(bulk.id, seconds=REPORT)) is not Step.OVER:
            bulk.refresh_from_db()
            out.say(f"{bulk.handled:,} of {bulk.total:,} handled. {bulk.waits_because}".strip())
            if step is not Step.HANDLED:
                time.sleep(PAUSE)
    except KeyboardInterrupt:
        stop(bulk.id)
        raise
    finally:
        bulk.refresh_from_db()


def _report(bulk: BulkAction, out: Output) -> None:
    kept = BulkTarget.objects.filter(bulk=bulk).exclude(refusal="").order_by("run_id")
    refusals = [{"run_id": str(each.run_id), "refused": each.refusal} for each in kept]
    counted = {"total": bulk.total, "done": bulk.done, "refused": bulk.refused, "failed": bulk.failed}
    if out.as_json:
        out.object(bulk_action=str(bulk.id), state=bulk.state, **counted, refusals=refusals)
        return
    for each in refusals:
        out.line(f"{each['run_id']}  {each['refused']}")
    out.line(", ".join(f"{count:,} {name}" for name, count in counted.items()))
