"""The command line of `manage.py agents`: nouns, verbs, and what they have in common."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.db.models import Model, QuerySet

from threads.db import clock

M = TypeVar("M", bound=Model)

#: What a verb does; it returns the exit code.
Do = Callable[[Namespace, Any], int | None]
#: The fewest digits of a short id.
FEWEST_DIGITS = 4
#: Among how many of the newest rows the last digits of an id are searched, because no index has them.
LOOKED_AT = 10_000


class Noun:
    """A noun, to which its verbs are added."""

    def __init__(self, nouns: Any, name: str, help: str) -> None:
        self.parser: CommandParser = nouns.add_parser(name, help=help, description=help)
        self._verbs = self.parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(self, name: str, do: Do, help: str, *, as_json: bool = True) -> CommandParser:
        parser: CommandParser = self._verbs.add_parser(name, help=help, description=help)
        return verb(parser, do, as_json=as_json)


def verb(parser: CommandParser, do: Do, *, as_json: bool = True) -> CommandParser:
    """Make a parser that of a verb.

    Args:
        as_json: Whether its result can be one JSON object.
    """
    parser.set_defaults(do=do, as_json=False)
    if as_json:
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print one JSON object.")
    return parser


def json_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not JSON: {error}") from None


def by_id(rows: QuerySet[M], text: str) -> M:
    """The row with an id, or with the beginning or the end of one. Raises CommandError."""
    name = rows.model._meta.verbose_name
    digits = text.replace("-", "").lower()
    if len(digits) < FEWEST_DIGITS or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        raise CommandError(
            f"{text!r} is no id of a {name}: give all of it, or at least {FEWEST_DIGITS} digits."
        )
    beginning = rows.filter(id__gte=UUID(digits.ljust(32, "0")), id__lte=UUID(digits.ljust(32, "f")))
    found = list(beginning[:2])
    if not found and len(digits) < 32:
        newest = rows.order_by("-id").values_list("id", flat=True)[:LOOKED_AT]
        found = list(rows.filter(id__in=[each for each in newest if each.hex.endswith(digits)][:2]))
    if len(found) > 1:
        raise CommandError(f"{text!r} is the id of several {name}s: give more of it.")
    if not found:
        raise CommandError(f"There is no {name} {text!r}.")
    return found[0]


def by_username(text: str) -> Any:
    """The user of this name. Raises CommandError."""
    model: Any = get_user_model()
    user = model._default_manager.filter(**{model.USERNAME_FIELD: text}).first()
    if user is None:
        raise CommandError(f"There is no user {text!r}.")
    return user


def confirmed(out: Any, question: str, *, yes: bool) -> bool:
    """Whether the operator agrees; only asked in a terminal. Raises CommandError elsewhere."""
    if yes:
        return True
    if not out.interactive:
        raise CommandError(f"{question} Confirm it with --yes.", returncode=2)
    out.say(f"{question} [y/N] ")
    return input().strip().lower() in ("y", "yes")


def age_in_seconds(moment: Any) -> float | None:
    return None if moment is None else round((clock.now() - moment).total_seconds(), 3)
