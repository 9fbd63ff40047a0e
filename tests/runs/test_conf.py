"""The default place of checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.test import override_settings

from runs.conf import FORMER, checkpoints_beside, settings


@pytest.fixture(autouse=True)
def started_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that was started in an empty folder."""
    monkeypatch.chdir(tmp_path)
    checkpoints_beside.cache_clear()
    yield
    checkpoints_beside.cache_clear()


def test_checkpoints_are_beside_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "NAME", tmp_path / "data" / "db.sqlite3")
    with override_settings(RUNS={}):
        assert tmp_path / "data" / "checkpoints.sqlite3" == settings.CHECKPOINTS_FILE
    with override_settings(RUNS={"CHECKPOINTS_FILE": "elsewhere.sqlite3"}):
        assert settings.CHECKPOINTS_FILE == "elsewhere.sqlite3"


def test_a_file_at_the_former_place_is_found(tmp_path: Path) -> None:
    database = str(tmp_path / "db.sqlite3")
    FORMER.parent.mkdir()
    FORMER.touch()
    assert checkpoints_beside(database) == FORMER
    checkpoints_beside.cache_clear()
    beside = tmp_path / "checkpoints.sqlite3"
    beside.touch()
    assert checkpoints_beside(database) == beside


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
def test_a_database_in_memory_has_no_place(name: str) -> None:
    assert checkpoints_beside(name) == FORMER
