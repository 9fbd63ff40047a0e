"""`manage.py revoke_api_key`: a key is of no use any more, at once and in every process."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from runs.identity import keys
from runs.management.arguments import require_migrated_database
from runs.management.commands.reconcile_runs import require_reachable_database
from runs.models import ApiKey


class Command(BaseCommand):
    help = "Revoke an API key."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="The key's id or first characters (`list_api_keys`), or the key.")

    def handle(self, *, key: str, **options: Any) -> None:
        require_reachable_database()
        require_migrated_database()
        found = list(ApiKey.objects.filter(named(key))[:2])
        if not found:
            raise CommandError("There is no such API key: `manage.py list_api_keys` lists them.")
        if len(found) > 1:
            raise CommandError("Several API keys begin like that: name one by its id.")
        if not keys.revoke(found[0].pk):
            raise CommandError(f"The key {found[0].prefix}… was revoked before.")
        self.stdout.write(f"Revoked {found[0].prefix}….")


def named(text: str) -> Q:
    """Which key a person means. Whoever has found a key somewhere can revoke it without looking for its row."""
    try:
        return Q(id=UUID(text))
    except ValueError:
        return Q(prefix=text.rstrip("…")) if len(text) <= keys.SHOWN + 1 else Q(digest=keys.digest(text))
