"""The server's commands over the dummy runtime: `python -m tests.runs.server.dummy_manage serve …`."""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings
from django.core.management import load_command_class

from tests.runs.server import dummy


def main() -> None:
    if not os.environ.get("UNMIGRATED"):
        settings.MIGRATION_MODULES = dict.fromkeys(["auth", "contenttypes", "sessions"])
    django.setup()
    from runs.server.lifespan import lifespan

    lifespan._open = dummy.runtime
    load_command_class("runs", sys.argv[1]).run_from_argv(sys.argv)


if __name__ == "__main__":
    main()
