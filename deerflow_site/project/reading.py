"""Reads a langgraph.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deerflow_site.project import environment
from deerflow_site.project.errors import ProjectError
from deerflow_site.project.keys import KEYS, Checked

NAME = "langgraph.json"


@dataclass(frozen=True)
class Project:
    """A langgraph.json whose keys were checked."""

    file: Path
    content: dict[str, Any] = field(repr=False)

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def graphs(self) -> dict[str, str]:
        """The graphs' paths ("./agent.py:graph") by name."""
        return {
            name: each if isinstance(each, str) else str(each.get("path"))
            for name, each in self.content["graphs"].items()
        }

    @property
    def http(self) -> dict[str, Any]:
        return self.content.get("http") or {}

    def part(self, *path: str) -> Any:
        """The value at a path of keys; None if any of them is missing."""
        value: Any = self.content
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @cached_property
    def env(self) -> dict[str, str]:
        """The variables that `env` sets. Raises ProjectError."""
        return environment.variables(self.content.get("env"), file=self.file)

    @property
    def env_file(self) -> Path | None:
        """The file that `env` names, if it names one."""
        env = self.content.get("env")
        return self.folder / env if isinstance(env, str) else None


def read(path: str | Path) -> Project:
    """Read and check a langgraph.json. Raises ProjectError."""
    file = Path(path).resolve()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"There is no {file}.") from None
    except OSError as error:
        raise ProjectError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ProjectError(f"{file.name} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise ProjectError(
            f'{file.name} is not an object like {{"graphs": {{"agent": "./agent.py:graph"}}}}.'
        )
    Checked(file.name).check_object(content, KEYS)
    _check_graphs(file.name, content.get("graphs"))
    _check_prefix(file.name, (content.get("http") or {}).get("mount_prefix"))
    return Project(file, content)


def _check_graphs(name: str, graphs: dict[str, Any] | None) -> None:
    if not graphs:
        raise ProjectError(f'{name}: \'graphs\' names no graph, like {{"agent": "./agent.py:graph"}}.')
    for graph, given in graphs.items():
        path = given.get("path") if isinstance(given, dict) else given
        if not isinstance(path, str) or ":" not in path:
            raise ProjectError(
                f"{name}: 'graphs.{graph}' must be like \"./agent.py:graph\", or an object with such a 'path'."
            )


def _check_prefix(name: str, prefix: str | None) -> None:
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or "//" in prefix):
        raise ProjectError(
            f"{name}: 'http.mount_prefix' must begin with a slash and not end with one: \"/api\"."
        )
