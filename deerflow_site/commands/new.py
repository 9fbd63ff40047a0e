"""`deerflow new`: a small project that works offline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from deerflow_site.development.terminal import Terminal
from deerflow_site.project import ProjectError

#: The template's files, and their names in a project where they differ.
FILES = {
    "langgraph.json": "langgraph.json",
    "agent.py": "agent.py",
    "scripted.py": "scripted.py",
    "test_agent.py": "test_agent.py",
    "requirements.txt": "requirements.txt",
    "env.example": ".env.example",
    "gitignore": ".gitignore",
}


def new(arguments: Sequence[str]) -> int:
    """Write the project; return the exit code. Raises ProjectError."""
    parser = argparse.ArgumentParser(
        prog="deerflow new", description="Make a small agent with tools and a test."
    )
    parser.add_argument("path", type=Path, help="the new folder")
    folder: Path = parser.parse_args(arguments).path
    write(folder)
    terminal = Terminal()
    terminal.good(f"{folder} has an agent that asks a person before it sends a mail. Next:")
    terminal.say(f"\n  cd {folder}\n  pip install -r requirements.txt\n  deerflow dev\n")
    return 0


def write(folder: Path) -> None:
    """Write the template's files. Raises ProjectError if the folder has files already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ProjectError(f"{folder} is not empty: name a new folder.")
        template = files("deerflow_site") / "project_template"
        for name, target in FILES.items():
            (folder / target).write_text((template / name).read_text(encoding="utf-8"), encoding="utf-8")
        (folder / ".env").write_text((template / "env.example").read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"{folder} cannot be written: {error.strerror}.") from None
