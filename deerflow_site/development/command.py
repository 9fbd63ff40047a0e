"""`deerflow dev`."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from deerflow_site.development.child import Message
from deerflow_site.development.supervisor import PATTERNS, Supervisor
from deerflow_site.development.terminal import Terminal
from deerflow_site.project import Project, ProjectError, dependencies, read
from deerflow_site.project.reading import NAME
from runs.version import VERSION

#: The port on which LangGraph's own development server listens.
PORT = 2024
BACKLOG = 1024
#: Keys that are accepted although the server does nothing with them.
WITHOUT_EFFECT = (
    ("http.logging_headers.includes", "this server logs no headers"),
    ("checkpointer.ttl.sweep_limit", "each transaction of a sweep is bounded anyway"),
    ("checkpointer.serde.allowed_json_modules", "checkpoints hold no JSON of other servers"),
)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deerflow dev",
        description="Serve the project of this folder, and reload it when its files change.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=PORT, help="port to listen on, 0 for any (default: %(default)s)"
    )
    parser.add_argument("--config", default=NAME, help="the project's file (default: %(default)s)")
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="GLOB",
        help="also reload for files of these names, for example '*.md'; may be repeated",
    )
    parser.add_argument("--no-reload", dest="reload", action="store_false", help="do not watch the files")
    return parser


def dev(arguments: Sequence[str]) -> int:
    """Serve the project until a stop signal; return the exit code. Raises ProjectError."""
    began = time.monotonic()
    options = parser().parse_args(arguments)
    named = os.environ.get("LANGGRAPH_JSON") if options.config == NAME else None
    project = read(named or options.config)
    _ = project.env
    dependencies.require(project)
    terminal = Terminal()
    with listening(options.host, options.port) as listener:
        supervisor = Supervisor(
            project,
            listener,
            host=options.host,
            environ=environment(project),
            terminal=terminal,
            announce=lambda loaded: announce(
                terminal, project, address(listener), loaded, began, options.reload
            ),
            patterns=(*PATTERNS, *options.include),
            reload=options.reload,
        )
        return asyncio.run(supervisor.run())


def environment(project: Project) -> dict[str, str]:
    """The environment of the server processes. They add the variables of `env` at each start."""
    defaults = {
        "DJANGO_SETTINGS_MODULE": "deerflow_site.settings",
        "DATA_DIR": str(project.folder / ".deerflow"),
        "LOG_LEVEL": "WARNING",
    }
    return {
        **{name: value for name, value in defaults.items() if name not in project.env},
        **os.environ,
        "LANGGRAPH_JSON": str(project.file),
        "DEERFLOW_DEV": "1",
    }


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ProjectError."""
    try:
        family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
        made.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ProjectError(
            f"Cannot listen on {host}:{port}: {reason}. Choose another port with --port."
        ) from None
    return made


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(
    terminal: Terminal, project: Project, url: str, loaded: Message, began: float, reloads: bool
) -> None:
    """Print what a person needs to use the server."""
    base = url + (project.http.get("mount_prefix") or "")
    user = loaded["user"]
    places = [
        ("Chat", f"{base}/chat/", ""),
        ("API", base, ""),
        ("Docs", f"{base}/docs", ""),
        ("Admin", f"{base}/admin/", f"user {user[0]}, password {user[1]}" if user else ""),
    ]
    terminal.say()
    terminal.say(
        f"  {terminal.paint('deerflow', 'bold', 'cyan')} {VERSION}  {terminal.paint(project.folder.name, 'dim')}"
    )
    terminal.say()
    terminal.table(places)
    terminal.say()
    terminal.table(code_of(project))
    terminal.say()
    for note in notes(project):
        terminal.say(f"  {terminal.paint('Note', 'yellow', 'bold')}  {note}")
    data = Path({**project.env, **environment(project)}["DATA_DIR"]).resolve()
    shown = data.relative_to(project.folder) if data.is_relative_to(project.folder) else data
    rest = f"Data in {shown}. " + ("Reloads when a file changes. " if reloads else "") + "Stop with Ctrl-C."
    terminal.say(f"  {terminal.paint(rest, 'dim')}")
    terminal.good(f"Serving after {time.monotonic() - began:.1f} s.")


def code_of(project: Project) -> list[tuple[str, str, str]]:
    """Rows that say where the project's code is."""
    graphs = enumerate(project.graphs.items())
    rows = [("Graphs" if number == 0 else "", name, path) for number, (name, path) in graphs]
    for name, path in (("Auth", project.part("auth", "path")), ("Routes", project.http.get("app"))):
        if path:
            rows.append((name, path, ""))
    return rows


def notes(project: Project) -> list[str]:
    """What the project's author may expect otherwise."""
    found = []
    if "*" in (project.part("http", "cors", "allow_origins") or ()):
        found.append(
            "'http.cors.allow_origins' has \"*\": here only pages of this machine are allowed, because requests "
            "without credentials act as the local user."
        )
    return [
        *found,
        *(f"{path!r} has no effect: {why}." for path, why in WITHOUT_EFFECT if _given(project, path)),
    ]


def _given(project: Project, path: str) -> bool:
    return bool(project.part(*path.split(".")))
