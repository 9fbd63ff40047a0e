"""Options that several commands have."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.module_loading import import_string

from runs import graphs
from runs.graphs.sources import QUEUE
from threads.db.values.text import is_text


def require_text(given: Mapping[str, Any]) -> None:
    """Raise CommandError for an argument that no database can store or find: with bytes that are not UTF-8, or NUL.

    The names of files may have such bytes.
    """
    for name, value in given.items():
        texts = value if isinstance(value, list | tuple) else [value]
        if name != "file" and not all(is_text(each) for each in texts if isinstance(each, str)):
            raise CommandError(
                f"The argument {name!r} is no text: it has bytes that are not UTF-8, or a NUL."
            )


def port_number(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a port number: use 0 to 65535, 0 for any free port.")


def positive(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a positive number.")


def seconds(text: str) -> float:
    try:
        if 0 <= (value := float(text)) < float("inf"):
            return value
    except ValueError:
        pass
    raise ArgumentTypeError(f"{text!r} is not a number of seconds.")


def queue_names(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(","))
    if all(QUEUE.fullmatch(name) for name in names):
        return names
    raise ArgumentTypeError(f"{text!r} is no list of queues: separate names such as 'default' by commas.")


def add_worker_arguments(parser: CommandParser) -> None:
    """The options of a process that executes runs."""
    parser.add_argument(
        "--concurrency",
        type=positive,
        metavar="N",
        help="Maximum runs that the process executes at once (default: the setting).",
    )
    parser.add_argument(
        "--queues", type=queue_names, metavar="A,B", help="Execute only runs of these queues (default: all)."
    )


def warn_of_empty_queues(command: Any, queues: frozenset[str] | None) -> None:
    """Report queues for which no graph is registered."""
    known = {graphs.registration(name).queue for name in graphs.names()}
    for queue in sorted((queues or frozenset()) - known):
        command.stderr.write(f"No graph is registered for the queue {queue!r}, so it has no runs.")


def site_application() -> Any:
    """Import the ASGI application that the site's settings name. Raises CommandError when there is none."""
    path = getattr(settings, "ASGI_APPLICATION", None)
    if not path:
        raise CommandError("ASGI_APPLICATION is not set: name the site's ASGI application in its settings.")
    try:
        return import_string(path)
    except ImportError as error:
        raise CommandError(f"ASGI_APPLICATION {path!r} cannot be imported: {error}") from error
