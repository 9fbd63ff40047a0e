"""`manage.py list_api_keys`: list the keys by their first characters."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser

from runs.admin.identity import state_of
from runs.management.arguments import require_text
from runs.management.databases import require_migrated_database, require_reachable_database
from runs.models import ApiKey

#: The version of the JSON that `--json` prints.
SCHEMA = 1


class Command(BaseCommand):
    help = "List the API keys, newest first. The keys themselves are not stored."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", help="Only this user's keys.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *, user: str | None, **options: Any) -> None:
        require_text({"user": user})
        require_reachable_database()
        require_migrated_database()
        found = ApiKey.objects.select_related("user").order_by("-created_at", "-id")
        if user is not None:
            found = found.filter(**{f"user__{get_user_model().USERNAME_FIELD}": user})
        rows = [row(key) for key in found.iterator()]
        if options["json"]:
            self.stdout.write(json.dumps({"schema": SCHEMA, "keys": rows}))
            return
        for each in rows:
            used = f"last used {each['last_used_at']}" if each["last_used_at"] else "never used"
            scopes = ",".join(each["scopes"])
            parts = (f"{each['prefix']}…", each["state"], each["user"], scopes, used, each["name"])
            self.stdout.write("  ".join(part for part in parts if part))


def row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.id),
        "prefix": key.prefix,
        "name": key.name,
        "user": key.user.get_username(),
        "scopes": key.scopes,
        "state": state_of(key),
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "last_used_at": _time(key.last_used_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
