"""`deerflow doctor`: what of the project and the site works here."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Sequence
from typing import TypeVar

from deerflow_site.development.terminal import Terminal
from deerflow_site.project import Project, ProjectError, dependencies, read
from deerflow_site.project.reading import NAME
from runs.version import VERSION

T = TypeVar("T")


def doctor(arguments: Sequence[str]) -> int:
    """Print what works and what does not; return 1 if anything does not."""
    parser = argparse.ArgumentParser(prog="deerflow doctor", description="Check the project of this folder.")
    parser.add_argument("--config", help=f"the project's file (default: {NAME})")
    options = parser.parse_args(arguments)
    # Imported here because `line` imports this module.
    from deerflow_site.commands.line import find_project

    terminal = Terminal()
    terminal.say(f"deerflow {VERSION}, Python {platform.python_version()}, {platform.system()}")
    healthy = True
    file = find_project(options.config)
    if file is None:
        terminal.note(f"There is no {NAME} in this folder: the site serves its demo agent.")
    else:
        project = _checked(terminal, f"{file.name}: every key is known", lambda: read(file))
        healthy = project is not None and _project_works(terminal, project)
    if not healthy:
        return 1
    return _site_works(terminal, file is not None)


def _checked(terminal: Terminal, works: str, check: Callable[[], T]) -> T | None:
    """Print that a check passed, or why not; None if it did not."""
    try:
        found = check()
    except ProjectError as error:
        terminal.bad(str(error))
        return None
    terminal.good(works)
    return found


def _project_works(terminal: Terminal, project: Project) -> bool:
    env = project.content.get("env")
    named = env if isinstance(env, str) else "given" if env else "none"
    read_env = _checked(terminal, f"env: {named}", lambda: project.env)
    installed = _checked(terminal, "dependencies: all are installed", lambda: _required(project))
    return read_env is not None and installed is not None


def _required(project: Project) -> bool:
    dependencies.require(project)
    return True


def _site_works(terminal: Terminal, has_project: bool) -> int:
    """Check what needs Django: the code, then the database and the rest by `agents doctor`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deerflow_site.settings")
    # Imported here because they need the settings.
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import CommandError, call_command

    from deerflow_site.development.loading import problems
    from runs.management.databases import require_existing_database

    # A host's own settings serve no langgraph.json.
    project: Project | None = getattr(settings, "PROJECT", None) if has_project else None
    failed = problems(project) if project is not None else []
    for message in failed:
        terminal.bad(message)
    if project is not None and not failed:
        terminal.good(f"graphs: {', '.join(project.graphs)} can be imported")
        if path := project.part("auth", "path"):
            terminal.good(f"auth: {path} can be used")
    try:
        require_existing_database()
    except CommandError:
        terminal.note("There is no database yet: deerflow dev creates it.")
        return 1 if failed else 0
    try:
        call_command("agents", "doctor")
    except (CommandError, SystemExit) as error:
        return int(getattr(error, "returncode", 0) or getattr(error, "code", 0) or 1)
    return 1 if failed else 0
