"""`manage.py openapi > docs/openapi.json`: write the API's document."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Write the API's document (OpenAPI) to stdout, as JSON."
    # The document depends only on the code, so neither graphs nor a database are needed.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        # Not above: they import every route, which the list of commands does not need.
        from runs.api.openapi.document import document
        from runs.api.site import api

        self.stdout.write(json.dumps(document(api), indent=1, ensure_ascii=False))
