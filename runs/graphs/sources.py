"""Where graphs come from: the setting, a langgraph.json, and the `graphs` modules of installed apps."""

from __future__ import annotations

import importlib
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import module_has_submodule

from runs.conf import settings
from runs.graphs.loading import describe, import_home, import_object

SETTING = "RUNS['GRAPHS']"
#: The fields that an entry may have.
FIELDS = ("path", "description", "queue", "priority")
QUEUE = re.compile(r"[\w.-]{1,64}", re.ASCII)
MAX_PRIORITY = 1000


@dataclass(frozen=True)
class Registration:
    """A graph's name, its description, and where it was registered, in words."""

    name: str
    description: str
    source: str
    #: The queue of its runs, which decides which workers execute them; and their priority.
    queue: str = "default"
    priority: int = 0


@dataclass(frozen=True)
class Entry:
    """A registration, and how to load its object."""

    registration: Registration
    load: Callable[[], Any]
    #: The module that the object comes from; it may be called after `load`.
    home: Callable[[], str]


#: The arguments of `register`, with the calling module. They are kept over a `reset`, because a module is
#: imported only once.
_registered: list[tuple[str, Entry]] = []


def remember(
    name: str, value: object, *, description: str, module: str, queue: str = "default", priority: int = 0
) -> None:
    """Keep what the module `module` registered."""
    if complaint := complain_about(name) or complain_about_queue(queue, priority):
        raise ValueError(f"register({name!r}): {complaint}.")
    registration = Registration(name, description, module, queue, priority)
    _registered.append((module, Entry(registration, lambda: value, lambda: module)))


def complain_about(name: object) -> str | None:
    """Why `name` cannot be a graph's name, or None."""
    if not isinstance(name, str) or not 1 <= len(name) <= 255:
        return "a graph's name is a text of 1 to 255 characters"
    if "/" in name or any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "a graph's name has no '/' and no control characters"
    return None


def complain_about_queue(queue: object, priority: object) -> str | None:
    """Why these cannot be a graph's queue and priority, or None."""
    if not isinstance(queue, str) or not QUEUE.fullmatch(queue):
        return "a queue's name has 1 to 64 letters, digits, '.', '_' and '-'"
    if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) > MAX_PRIORITY:
        return f"a priority is an integer from -{MAX_PRIORITY} to {MAX_PRIORITY}"
    return None


def discover() -> tuple[dict[str, Entry], list[CheckMessage]]:
    """All registered graphs by name, and what is wrong with their registrations. No graph is loaded."""
    entries: dict[str, Entry] = {}
    problems: list[CheckMessage] = []
    for found in (*_from_setting(), *_from_json(), *_from_apps()):
        if isinstance(found, CheckMessage):
            problems.append(found)
            continue
        name, source = found.registration.name, found.registration.source
        if (first := entries.setdefault(name, found)) is not found:
            message = f"Graph {name!r} is registered twice, by {first.registration.source} and by {source}."
            problems.append(Error(message, hint="Rename or remove one of them.", id="runs.E002"))
    return entries, problems


def _from_setting() -> Iterator[Entry | CheckMessage]:
    if isinstance(settings.GRAPHS, Mapping):  # The check of the settings reports any other type.
        yield from _entries(settings.GRAPHS, SETTING, problem_id="runs.E004")


def _from_json() -> Iterator[Entry | CheckMessage]:
    if not settings.LANGGRAPH_JSON:
        return
    path = Path(str(settings.LANGGRAPH_JSON)).resolve()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        graphs = content["graphs"]
        if not isinstance(graphs, dict):
            raise TypeError("its 'graphs' is not an object")
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = "it has no 'graphs'" if isinstance(error, KeyError) else str(error)
        hint = 'It needs at least {"graphs": {"agent": "./agent.py:graph"}}; RUNS[\'LANGGRAPH_JSON\'] is its path.'
        yield Error(f"{path} cannot be read: {reason}.", hint=hint, id="runs.E005")
        return
    # Last, so that a file named like an installed package does not replace it for the whole server.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    yield from _entries(graphs, path.name, folder=path.parent, problem_id="runs.E005")
    ignored = [key for key in content if key not in ("graphs", "auth", "store", "checkpointer", "$schema")]
    ignored += _ignored_of_checkpointer(content.get("checkpointer"))
    for name, value in graphs.items():
        if isinstance(value, dict):
            ignored += [f"graphs.{name}.{key}" for key in value if key not in FIELDS]
    if ignored:
        message = f"{path} has settings that are ignored: {', '.join(ignored)}."
        hint = "Install the dependencies and set the environment of the graphs before the server starts."
        yield Warning(message, hint=hint, id="runs.W002")


def _ignored_of_checkpointer(given: object) -> list[str]:
    """Its settings that are ignored: all except the classes that checkpoints may restore
    (`restorable`).
    """
    parts: dict[str, Any] = given if isinstance(given, dict) else {}
    found = parts.get("serde")
    serde: dict[str, Any] = found if isinstance(found, dict) else {}
    return [
        *(f"checkpointer.{key}" for key in parts if key != "serde"),
        *(f"checkpointer.serde.{key}" for key in serde if key != "allowed_msgpack_modules"),
    ]


def _entries(
    graphs: Mapping[Any, Any], source: str, *, folder: Path | None = None, problem_id: str
) -> Iterator[Entry | CheckMessage]:
    for name, value in graphs.items():
        fields = value if isinstance(value, Mapping) else {"path": value}
        path, description = fields.get("path"), fields.get("description") or ""
        queue, priority = fields.get("queue", "default"), fields.get("priority", 0)
        if complaint := complain_about(name) or complain_about_queue(queue, priority):
            yield Error(f"Graph {name!r} of {source} is left out: {complaint}.", id=problem_id)
        elif isinstance(path, str) and isinstance(description, str):
            registration = Registration(name, description, source, queue, priority)
            yield Entry(
                registration, partial(import_object, path, folder=folder), partial(_home, path, folder)
            )
        else:
            hint = "Write 'module:object', or {'path': 'module:object', 'description': 'what it is for'}."
            yield Error(f"Graph {name!r} of {source} is left out: it has no path.", hint=hint, id=problem_id)


def _home(path: str, folder: Path | None) -> str:
    return import_home(path, folder=folder).__name__


def _from_apps() -> Iterator[Entry | CheckMessage]:
    for app in apps.get_app_configs():
        name = f"{app.name}.graphs"
        # This package has the same name, but it is the registry and not an app's graphs. Django's
        # `autodiscover_modules` cannot exclude an app, and one app's failure would hide the graphs of others.
        if name == __package__ or not module_has_submodule(app.module, "graphs"):
            continue
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            hint = f"Correct the module, or remove {app.name!r} from INSTALLED_APPS."
            yield Error(f"{name} cannot be imported: {describe(error)}.", hint=hint, id="runs.E001")
    # Drop the graphs of modules that are no longer loaded, because importing such a module again would
    # register them twice.
    _registered[:] = [(module, entry) for module, entry in _registered if module in sys.modules]
    yield from (entry for _, entry in _registered)
