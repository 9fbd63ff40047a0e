"""`agents runs index`: an index over inputs, so that a search finds texts among all runs."""

from __future__ import annotations

from argparse import Namespace

from runs.lifecycle.operators import input_index
from runs.management.agents.parsing import Noun
from runs.management.agents.printing.output import Output


def add(noun: Noun) -> None:
    parser = noun.verb("index", index, "Build an index over inputs for the admin's search (PostgreSQL).")
    parser.add_argument("--drop", action="store_true", help="Remove it instead.")


def index(given: Namespace, out: Output) -> None:
    changed = input_index.drop() if given.drop else input_index.build()
    if out.as_json:
        out.object(index=input_index.NAME, present=not given.drop, changed=changed)
        return
    state = "removed" if given.drop else "built"
    out.line(f"The index over inputs is {state}{'' if changed else ', as before'}.")
