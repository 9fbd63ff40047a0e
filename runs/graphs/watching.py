"""What Django's reloader watches, in addition to the modules that are imported.

The file of a graph that cannot be imported is none of those, so that nothing would notice its correction.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.dispatch import receiver
from django.utils.autoreload import BaseReloader, autoreload_started

from runs.conf import settings

#: A folder's own files and those one level below; a whole tree may have an environment in it.
PATTERNS = ("*.py", "*/*.py")


@receiver(autoreload_started, dispatch_uid="runs.watch_graphs")
def watch_graphs(sender: BaseReloader, **kwargs: Any) -> None:
    for folder in set(folders()):
        for pattern in PATTERNS:
            sender.watch_dir(folder, pattern)
    if settings.LANGGRAPH_JSON:
        # The glob of one file: `watch_file` would ask for its existence.
        file = Path(settings.LANGGRAPH_JSON).resolve()
        sender.watch_dir(file.parent, file.name)


def folders() -> Iterator[Path]:
    """The folders in which the site's graphs are written; none of them is imported for this."""
    if settings.LANGGRAPH_JSON:
        yield Path(settings.LANGGRAPH_JSON).resolve().parent
    for entry in settings.GRAPHS.values():
        path = entry.get("path") if isinstance(entry, dict) else entry
        package, *rest = str(path).partition(":")[0].split(".")
        spec = find_spec(package) if package.isidentifier() else None
        if spec is None:
            continue
        for place in spec.submodule_search_locations or [str(Path(spec.origin or "").parent)]:
            yield Path(place).joinpath(*rest[:-1]).resolve()
