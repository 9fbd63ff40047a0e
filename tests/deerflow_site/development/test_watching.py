"""Which changes of a project's files are seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deerflow_site.development.watching import Watcher


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (".git", "node_modules", "venv", "package", ".deerflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").touch()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "notes.md").touch()
    return tmp_path


def names(paths: set[Path], folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in paths)


def test_only_the_projects_own_code_is_watched(folder: Path) -> None:
    watcher = Watcher([folder], [folder / ".env"], ["*.py"])
    assert watcher.changed() == set()
    for each in folder.rglob("*"):
        if each.is_file():
            each.write_text("changed")
    assert names(watcher.changed(), folder) == ["package/a.py"]
    (folder / ".env").write_text("A=1")
    (folder / "package" / "a.py").unlink()
    (folder / "new.py").touch()
    assert names(watcher.changed(), folder) == [".env", "new.py", "package/a.py"]
    assert watcher.changed() == set()


def test_files_elsewhere_are_watched_from_now_on(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("elsewhere") / "library.py"
    other.touch()
    watcher = Watcher([folder], [], ["*.py", "*.md"])
    watcher.also([other])
    assert watcher.changed() == set()
    os.utime(other, (1, 1))
    (folder / "notes.md").write_text("changed")
    assert watcher.changed() == {other, folder / "notes.md"}


async def test_a_change_is_told_once_it_rests(folder: Path) -> None:
    watcher = Watcher([folder], [], ["*.py"])
    (folder / "package" / "a.py").write_text("changed")
    assert names(await watcher.change(), folder) == ["package/a.py"]
