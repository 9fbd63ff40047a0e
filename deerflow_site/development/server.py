"""One server process of `deerflow dev`: prepares itself, imports the project, serves until a signal."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from deerflow_site.development.channel import Channel
from deerflow_site.project import ProjectError

#: How long the drain before a reload may take, in seconds: runs get 60 % of it, one second, to reach a step's end
#: (`runs.worker.drain`), and are then cancelled.
DRAIN_SECONDS = 1 / 0.6


def main(arguments: list[str]) -> None:
    channel = Channel(int(arguments[0]))
    # The supervisor hears Ctrl-C too, and sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        prepare(channel.hear()["modules"])
        channel.tell(event="prepared")
        asked = channel.hear()
        load(channel, first=asked["first"])
        channel.hear()
        serve(channel, listener=socket.socket(fileno=int(arguments[1])), host=asked["host"])
    except ProjectError as error:
        fail(channel, [str(error)])


def prepare(modules: Iterable[str]) -> None:
    """Import everything that is not the project's."""
    # Imported here, after the supervisor's message: all of this is the preparation.
    import django
    from django.core.exceptions import ImproperlyConfigured

    try:
        django.setup()
    except (ValueError, ImproperlyConfigured) as error:
        # A variable of the environment has a value that the settings refuse.
        raise ProjectError(str(error)) from error
    # They need the apps.
    for name in ("runs.server.daphne", "runs.server.application", "runs.worker.opening", "runs.api.site"):
        importlib.import_module(name)
    from django.urls import get_resolver

    _ = get_resolver().url_patterns
    for name in modules:
        # It is only a head start; what cannot be imported alone comes with the project.
        with suppress(Exception):
            importlib.import_module(name)


def load(channel: Channel, *, first: bool) -> None:
    """Import the project, and at the first start migrate the database; tell the supervisor."""
    # They need the settings and the apps, as do those below.
    from django.conf import settings

    from deerflow_site.development.loading import installed_modules, problems, project_files

    project: Any = settings.PROJECT
    found = problems(project)
    if found:
        fail(channel, found)
    user = migrate() if first else None
    channel.tell(event="loaded", modules=installed_modules(), files=sorted(set(project_files())), user=user)


def migrate() -> tuple[str, str] | None:
    """Migrate the database, and return its first user."""
    # They need the apps.
    from django.conf import settings
    from django.core.management import CommandError, call_command
    from django.db import DatabaseError, connections

    from deerflow_site.development.first_user import first_user

    try:
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        return first_user(Path(settings.DATA_DIR))
    except (DatabaseError, CommandError) as error:
        raise ProjectError(f"The database cannot be used: {error}".strip()) from error
    finally:
        # The event loop will run in this thread, where Django forbids the use of connections.
        connections.close_all()


def serve(channel: Channel, *, listener: socket.socket, host: str) -> None:
    """Serve on the supervisor's socket until SIGTERM, or until the supervisor has gone."""
    # They need the apps.
    from deerflow_site.asgi import application
    from runs.process.options import WorkerOptions
    from runs.server.daphne import Server
    from runs.server.lifespan import lifespan

    lifespan.options = WorkerOptions(drain_seconds=DRAIN_SECONDS)
    server = Server(
        application,
        lifespan,
        host=host,
        port=listener.getsockname()[1],
        listener=listener,
        on_listening=partial(_listening, channel),
    )
    threading.Thread(target=_end_with_supervisor, args=(channel,), daemon=True).start()
    try:
        server.run()
    except Exception as error:
        if not hasattr(error, "exit_code"):
            logging.getLogger(__name__).exception("The server could not start.")
        fail(channel, [str(error) or repr(error)])


def _listening(channel: Channel) -> None:
    # As before the start: the server has replaced it.
    asyncio.get_event_loop().remove_signal_handler(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel.tell(event="serving")


def _end_with_supervisor(channel: Channel) -> None:
    with suppress(SystemExit):
        while True:
            channel.hear()
    os.kill(os.getpid(), signal.SIGTERM)


def fail(channel: Channel, messages: list[str]) -> Any:
    channel.tell(event="failed", messages=messages)
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
