"""`agents doctor`: whether everything that runs need is there, and what to do where it is not."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from runs.management.agents.diagnosis import diagnose
from runs.management.agents.parsing import verb
from runs.management.agents.printing.output import Column, Output

COLUMNS = (
    Column("", "state", state=True),
    Column("check", "name"),
    Column("found", "found", breaks=True),
    Column("what to do", "hint", breaks=True),
)


def add(nouns: Any) -> None:
    help = "Check the database, clocks, notifications, graphs, keys, workers and queues."
    parser = verb(nouns.add_parser("doctor", help=help, description=help), doctor)
    parser.set_defaults(needs_database=False)


def doctor(given: Namespace, out: Output) -> int:
    findings = diagnose()
    failed = [each for each in findings if each.state == "failed"]
    rows = [asdict(each) for each in findings]
    if out.as_json:
        out.object(ok=not failed, checks=rows)
        return 1 if failed else 0
    out.table("checks", COLUMNS, rows, empty="")
    warnings = sum(each.state == "warning" for each in findings)
    out.say(f"{len(findings)} checks, {len(failed)} failed, {warnings} warnings.")
    return 1 if failed else 0
