"""The command `deerflow`: management commands of the site for the project in this folder, and a few of its own.

`deerflow serve` is `manage.py serve`, and `deerflow runs list` is `manage.py agents runs list`. Imports Django only
where it is needed, because `deerflow dev` itself does without.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from deerflow_site.project import ProjectError, environment, read
from deerflow_site.project.reading import NAME

OWN_SETTINGS = "deerflow_site.settings"
WINDOWS = "deerflow needs Linux or macOS: on Windows, use it in WSL."
#: Commands for which the project's packages must be there.
EXECUTING = frozenset({"serve", "run_worker", "runserver"})

Command = Callable[[Sequence[str]], int]
COMMANDS = {
    "dev": "deerflow_site.development.command:dev",
    "doctor": "deerflow_site.commands.doctor:doctor",
    "dockerfile": "deerflow_site.commands.dockerfile:dockerfile",
    "new": "deerflow_site.commands.new:new",
}


def main() -> None:
    """The entry point of `deerflow` and `python -m deerflow_site`."""
    if sys.platform == "win32":
        sys.exit(WINDOWS)
    arguments = sys.argv[1:]
    try:
        command = own_command(arguments[0]) if arguments else None
        if command is not None:
            sys.exit(command(arguments[1:]))
        find_project()
        manage(program="deerflow")
    except ProjectError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def own_command(name: str) -> Command | None:
    """A command that is not one of Django's. Each is imported only when it is executed."""
    if name not in COMMANDS:
        return None
    module, _, function = COMMANDS[name].partition(":")
    command: Command = getattr(importlib.import_module(module), function)
    return command


def find_project(file: str | None = None) -> Path | None:
    """Make the langgraph.json of this folder, if there is one, the project of the site's settings.

    Its data are kept in `.deerflow` beside it.
    """
    named = file or os.environ.get("LANGGRAPH_JSON")
    found = Path(named or NAME).resolve()
    if not named and not found.is_file():
        return None
    os.environ["LANGGRAPH_JSON"] = str(found)
    # Who reads the file next tells what is wrong with it.
    with suppress(ProjectError):
        environment.apply({name: value for name, value in read(found).env.items() if name == "DATA_DIR"})
    os.environ.setdefault("DATA_DIR", str(found.parent / ".deerflow"))
    return found


def manage(*, program: str = "manage.py") -> None:
    """Execute the management command that the command line names."""
    if os.environ.setdefault("DJANGO_SETTINGS_MODULE", OWN_SETTINGS) != OWN_SETTINGS:
        # As beside a site's manage.py, which a console script is not.
        sys.path.insert(0, os.getcwd())
    # Imported here because `deerflow dev` and others do not need Django.
    from django.core.management import execute_from_command_line

    try:
        arguments = [program, *sys.argv[1:]]
        if program == "deerflow" and arguments[1:]:
            arguments = dispatched(arguments)
        execute_from_command_line(arguments)
    except ProjectError as error:
        sys.exit(f"Error: {error}")


def dispatched(arguments: list[str]) -> list[str]:
    """`deerflow runs list` as `deerflow agents runs list`: what Django does not know is for `agents`."""
    # Imported here because other commands do without Django.
    import django
    from django.conf import settings
    from django.core.management import get_commands

    django.setup()

    name = arguments[1]
    project = getattr(settings, "PROJECT", None)
    if project is not None and name in EXECUTING:
        from deerflow_site.project import dependencies

        dependencies.require(project)
    known = get_commands()
    if name in known or name.startswith("-") or name in ("help", "version") or "agents" not in known:
        return arguments
    return [arguments[0], "agents", *arguments[1:]]
