"""`manage.py create_api_key`: create an API key and print it once."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runs.identity import keys
from runs.identity.principals import SCOPES, known_scopes
from runs.management.arguments import positive, require_text
from runs.management.databases import require_migrated_database, require_reachable_database
from threads.db import clock

#: Ten years.
LONGEST = 3660


def scopes(text: str) -> frozenset[str]:
    try:
        return known_scopes(name for name in text.replace(",", " ").split())
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def days(text: str) -> int:
    if (number := positive(text)) <= LONGEST:
        return number
    raise ArgumentTypeError(f"{text!r} is more than ten years; leave it out for a key that does not expire.")


class Command(BaseCommand):
    help = "Create an API key for a user. Prints only the key, which cannot be shown again."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="Username of the key's user.")
        parser.add_argument("--name", default="", help="What the key is for.")
        parser.add_argument(
            "--scopes",
            type=scopes,
            default=SCOPES,
            metavar="A,B",
            help="The key's scopes: read, write, or both (default).",
        )
        parser.add_argument("--days", type=days, metavar="N", help="The key expires after this many days.")

    def handle(self, *, user: str, name: str, days: int | None, **options: Any) -> None:
        require_text({"user": user, "name": name})
        require_reachable_database()
        require_migrated_database()
        if len(name) > 100:
            raise CommandError("A key's name has at most 100 characters.")
        model = get_user_model()
        owner: Any = model._default_manager.filter(**{model.USERNAME_FIELD: user}).first()
        if owner is None:
            raise CommandError(
                f"There is no user {user!r}: create one with `manage.py createsuperuser` or in the admin."
            )
        if not owner.is_active:
            raise CommandError(f"The user {user!r} is not active.")
        expires_at = clock.now() + timedelta(days=days) if days else None
        row, key = keys.create(owner.pk, scopes=options["scopes"], name=name, expires_at=expires_at)
        self.stderr.write(f"Key {row.prefix}… of {user!r}; it is shown only once:")
        self.stdout.write(key)
