"""`agents runs cancel`, `retry`, `answer`, `fork` and `requeue`: what the run page does too, on record."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from runs.exceptions import NotFound
from runs.lifecycle.operators import operations
from runs.lifecycle.operators.operations import Operator, Refused
from runs.management.agents.parsing import Noun, by_id, confirmed, json_value
from runs.management.agents.printing.output import Output
from runs.management.agents.run_verbs.choice import add_filters, chosen, filtered
from runs.management.agents.run_verbs.matching import act_on_matching, add_matching
from runs.management.agents.runtimes import in_runtime
from runs.models import BulkKind, Run

RUN = "The run's id, or the beginning or the end of it."


def add(noun: Noun) -> None:
    parser = noun.verb("cancel", cancel, "Stop runs. Their checkpoints are kept, or rolled back.")
    parser.add_argument("runs", nargs="*", metavar="RUN", help=RUN)
    parser.add_argument(
        "--action", choices=("interrupt", "rollback"), default="interrupt",
        help="Keep the checkpoints (interrupt, the default), or remove the runs and what they did (rollback).",
    )  # fmt: skip
    parser.add_argument(
        "--all-matching", action="store_true", help="All runs in flight that the filters match."
    )
    add_matching(parser)
    _reason(parser)
    add_filters(parser)
    for name, do, help in (
        ("retry", retry, "Repeat an ended run as a new one, from where it began."),
        ("requeue", requeue, "Let a running run stop at its next step, and be claimed again."),
    ):
        parser = noun.verb(name, do, help)
        parser.add_argument("run", nargs="?", metavar="RUN", help=RUN)
        add_matching(parser)
        _reason(parser)
    parser = noun.verb("answer", answer, "Answer the questions at which a run stopped, in a new run.")
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument(
        "answer", type=json_value, metavar="JSON", help="The answer, such as '\"yes\"' or '{\"ok\": true}'."
    )
    parser.add_argument(
        "--by-id", action="store_true", help="The answer is an object of answers by their questions' ids."
    )
    _reason(parser)
    parser = noun.verb("fork", fork, "Continue a run's thread from a checkpoint, in a new run.")
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument("--at", metavar="CHECKPOINT", help="From this checkpoint (`agents threads history`).")
    parser.add_argument("--values", type=json_value, metavar="JSON", help="Update the state there first.")
    parser.add_argument("--as-node", metavar="NODE", help="The node that the update comes from.")
    _reason(parser)


def _reason(parser: CommandParser) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help="Why; it is on the run's record.")


def operator() -> Operator:
    """The user of the operating system that executes the command."""
    try:
        return Operator(getpass.getuser(), "command")
    except (KeyError, OSError):  # a container's user without a name
        return Operator("command", "command")


def cancel(given: Namespace, out: Output) -> int:
    if given.matching is not None:
        if given.runs or given.all_matching or filtered(given):
            raise CommandError(
                "--matching has all conditions: name no runs and no filters beside it.", returncode=2
            )
        kind = BulkKind.ROLL_BACK if given.action == "rollback" else BulkKind.CANCEL
        return act_on_matching(kind, given, operator(), out)
    ids = _matching(given, out) if given.all_matching else _named(given)
    done: list[dict[str, str]] = []
    for run_id in ids:
        try:
            rolled_back = given.action == "rollback"
            outcome = operations.cancel(run_id, operator(), reason=given.reason, roll_back=rolled_back)
            done.append({"run_id": str(run_id), "outcome": outcome})
        except (Refused, NotFound) as error:
            done.append({"run_id": str(run_id), "refused": str(error)})
    refused = [each for each in done if "refused" in each]
    if out.as_json:
        out.object(runs=done)
    else:
        for each in done:
            out.line(f"{each['run_id']}  {each.get('outcome') or each['refused']}")
        counted = Counter(each.get("outcome", "refused") for each in done)
        if len(done) > 1:
            out.say(", ".join(f"{count} {what}" for what, count in counted.items()) + ".")
    # A run that has ended since it was matched is what the operator wants.
    return 1 if refused and not given.all_matching else 0


def _named(given: Namespace) -> list[UUID]:
    if not given.runs:
        raise CommandError("Name runs, or choose them by filters with --all-matching.", returncode=2)
    return [by_id(Run.objects.only("id"), text).id for text in given.runs]


def _matching(given: Namespace, out: Output) -> list[UUID]:
    if given.runs:
        raise CommandError("Name runs, or use --all-matching, not both.", returncode=2)
    ids = list(chosen(given).filter(status__in=("pending", "running")).values_list("id", flat=True))
    if ids and not confirmed(
        out, f"{len(ids)} runs in flight match. Cancel them ({given.action})?", yes=given.yes
    ):
        raise CommandError("Nothing was cancelled.")
    return ids


def retry(given: Namespace, out: Output) -> int:
    if _is_bulk(given):
        return act_on_matching(BulkKind.RETRY, given, operator(), out)
    _became(operations.retry(_id(given), operator(), reason=given.reason), out)
    return 0


def requeue(given: Namespace, out: Output) -> int:
    if _is_bulk(given):
        return act_on_matching(BulkKind.REQUEUE, given, operator(), out)
    run_id = _id(given)
    outcome = operations.requeue(run_id, operator(), reason=given.reason)
    if out.as_json:
        out.object(run_id=str(run_id), outcome=outcome)
    else:
        out.line(f"{run_id}  {outcome}")
    return 0


def _is_bulk(given: Namespace) -> bool:
    if (given.run is None) == (given.matching is None):
        raise CommandError("Name a run, or choose several with --matching.", returncode=2)
    return given.matching is not None


def answer(given: Namespace, out: Output) -> None:
    run = by_id(Run.objects.select_related("thread"), given.run)
    _became(operations.answer(run.id, operator(), _answers(run, given), reason=given.reason), out)


def _answers(run: Run, given: Namespace) -> dict[str, Any]:
    """The answers by their questions' ids."""
    if given.by_id:
        if not isinstance(given.answer, dict):
            raise CommandError("With --by-id the answer is an object: {question's id: answer}.", returncode=2)
        return given.answer
    asked = [each["id"] for questions in run.thread.interrupts.values() for each in questions]
    if len(asked) > 1:
        raise CommandError(f"{len(asked)} questions wait: answer them with --by-id '{{\"{asked[0]}\": …}}'.")
    return {asked[0]: given.answer} if asked else {"": given.answer}


def fork(given: Namespace, out: Output) -> None:
    run = by_id(Run.objects.select_related("thread"), given.run)
    place: dict[str, Any] | None = {"checkpoint_id": given.at} if given.at else None
    if given.values is not None:
        new = _edited(run, place or {}, given)
    elif place is not None:
        new = operations.fork(run.id, operator(), place, reason=given.reason)
    else:
        raise CommandError(
            "Say from where with --at, or change the present state with --values.", returncode=2
        )
    _became(new, out)


def _edited(run: Run, place: dict[str, Any], given: Namespace) -> Run:
    """Update the state of a run's thread, and continue from there in a new run."""
    # Not above: it imports the graphs' libraries, which take a second.
    from runs.states.operator_edits import edit_as_operator

    operations.ensure(run.id, "fork")
    then = partial(operations.fork, run.id, operator(), reason=given.reason)
    return in_runtime(
        lambda runtime: edit_as_operator(
            run.thread_id, given.values, as_node=given.as_node, checkpoint=place, then=then
        )
    )


def _id(given: Namespace) -> UUID:
    return by_id(Run.objects.only("id"), given.run).id


def _became(run: Run, out: Output) -> None:
    """Print the new run."""
    if out.as_json:
        out.object(run_id=str(run.id), thread_id=str(run.thread_id), parent_run_id=str(run.parent_id))
    else:
        out.line(str(run.id))
        out.say(f"A new run; follow it with: manage.py agents runs tail --follow {run.id}")
