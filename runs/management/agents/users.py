"""`agents users`: export what is a user's, and delete a user with all of it."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from runs.exceptions import RunsError
from runs.management.agents.parsing import Noun, by_username, confirmed
from runs.management.agents.printing.output import Output
from runs.management.agents.run_verbs.actions import operator
from runs.retention.user_exports import exported_user
from runs.retention.users import belongings, delete_user

#: What happens to what is left of a user.
REST = "The rest is deleted in the background: by the next sweep of a server, or by `manage.py prune`."


def add(nouns: Any) -> None:
    noun = Noun(nouns, "users", "Export a user's data, or delete a user with all of it.")
    parser = noun.verb("export", export, "Print everything that is a user's as lines of JSON.", as_json=False)
    parser.add_argument("user", help="The username.")
    parser = noun.verb("delete", delete, "Delete a user with everything that is theirs. It cannot be undone.")
    parser.add_argument("user", help="The username.")
    parser.add_argument("--dry-run", action="store_true", help="Only say what would be deleted.")
    parser.add_argument("--yes", action="store_true", help="Do not ask.")


def export(given: Namespace, out: Output) -> None:
    counted: Counter[str] = Counter()
    for line in exported_user(by_username(given.user)):
        counted[line[10 : line.index('"', 10)]] += 1
        out.line(line)
    out.say("Exported " + ", ".join(f"{count} {kind}" for kind, count in counted.items()) + ".")


def delete(given: Namespace, out: Output) -> int:
    user = by_username(given.user)
    has = belongings(user.pk)
    what = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in has.items() if count) or "no data"
    if given.dry_run:
        _print(given.user, has, out, dry_run=True)
        return 0
    if not confirmed(out, f"Delete the user {given.user!r} with {what}? It cannot be undone.", yes=given.yes):
        out.say("Nothing was deleted.")
        return 1
    counted: Counter[str] = Counter()
    try:
        for kind, count in delete_user(user.pk, operator()):
            counted[kind] += count
            if kind == "threads" and count:
                out.say(f"{counted[kind]} of {has['threads']} threads are deleted.")
    except (RunsError, DatabaseError, KeyboardInterrupt):
        out.say(REST)
        raise
    if not counted["users"]:
        raise CommandError(f"The user {given.user!r} was made active again. Nothing more is deleted.")
    _print(given.user, dict(counted), out, dry_run=False)
    return 0


def _print(name: str, counted: dict[str, int], out: Output, *, dry_run: bool) -> None:
    if out.as_json:
        out.object(user=name, dry_run=dry_run, deleted=counted)
        return
    verb = "Would delete" if dry_run else "Deleted"
    parts = [
        f"{count} {kind.replace('_', ' ')}" for kind, count in counted.items() if count and kind != "users"
    ]
    out.line(f"{verb} the user {name!r} with {', '.join(parts) or 'no data'}.")
