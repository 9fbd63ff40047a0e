"""`manage.py revoke_api_key`: revoke a key, with immediate effect in all processes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from runs.identity import keys
from runs.management.arguments import require_text
from runs.management.databases import require_migrated_database, require_reachable_database
from runs.models import ApiKey


class Command(BaseCommand):
    help = "Revoke an API key."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "key", help="The key's id or first characters (see `list_api_keys`), or the key itself."
        )

    def handle(self, *, key: str, **options: Any) -> None:
        require_text({"key": key})
        require_reachable_database()
        require_migrated_database()
        found = list(ApiKey.objects.filter(named(key))[:2])
        if not found:
            raise CommandError("There is no such API key: `manage.py list_api_keys` lists them.")
        if len(found) > 1:
            raise CommandError("Several API keys begin with this: use the key's id.")
        if not keys.revoke(found[0].pk):
            raise CommandError(f"The key {found[0].prefix}… is revoked already.")
        self.stdout.write(f"Revoked {found[0].prefix}….")


def named(text: str) -> Q:
    """The condition for the named keys.

    Accepts a key itself, so that a leaked key can be revoked directly.
    """
    try:
        return Q(id=UUID(text))
    except ValueError:
        return Q(prefix=text.rstrip("…")) if len(text) <= keys.SHOWN + 1 else Q(digest=keys.digest(text))
