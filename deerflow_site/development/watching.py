"""Finds the files of a project that changed, by polling."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

#: How often to look, in seconds; less often where a look takes long.
INTERVAL, SHARE = 0.1, 8
#: How long a file must rest, because editors write in several steps.
REST = 0.05
IGNORED = frozenset({"__pycache__", "node_modules", "site-packages"})

State = tuple[int, int]


class Watcher:
    """The project's files as they were at the last look.

    Args:
        folders: Searched with all folders below, except hidden ones and virtual environments.
        files: Watched wherever they are; they need not exist.
        patterns: Names in `folders` that are watched.
    """

    def __init__(self, folders: Iterable[Path], files: Iterable[Path], patterns: Iterable[str]) -> None:
        self.folders = list(dict.fromkeys(folders))
        self.files = set(files)
        self.patterns = tuple(patterns)
        self._seen = self._look()

    def also(self, files: Iterable[Path]) -> None:
        """Watch more files."""
        for path in set(files) - self.files:
            self.files.add(path)
            if (state := state_of(path)) is not None:
                self._seen.setdefault(path, state)

    def changed(self) -> set[Path]:
        """The files that were added, changed or removed since the last call."""
        now = self._look()
        before, self._seen = self._seen, now
        return {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}

    async def change(self) -> set[Path]:
        """Wait for a change, and until nothing changes any more; return the files."""
        found: set[Path] = set()
        while True:
            began = time.monotonic()
            more = self.changed()
            took = time.monotonic() - began
            if found and not more:
                return found
            found |= more
            await asyncio.sleep(REST if found else max(INTERVAL, took * SHARE))

    def _look(self) -> dict[Path, State]:
        found: dict[Path, State] = {}
        for folder in self.folders:
            for entry in _entries(folder):
                if any(fnmatch(entry.name, pattern) for pattern in self.patterns):
                    stat = entry.stat()
                    found[Path(entry.path)] = (stat.st_mtime_ns, stat.st_size)
        for path in self.files:
            if (state := state_of(path)) is not None:
                found[path] = state
        return found


def state_of(path: Path) -> State | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The files below a folder."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in IGNORED:
                    yield from _entries(Path(entry.path))
            elif entry.is_file():
                yield entry
        except OSError:  # It was removed meanwhile.
            continue
