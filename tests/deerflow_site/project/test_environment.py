"""`env` of a langgraph.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from deerflow_site.project import ProjectError
from deerflow_site.project.environment import SWITCH, apply, parsed, variables

TEXT = """
# a comment
PLAIN=value # and a comment
export EXPORTED = spaced
HASH=a#b
SINGLE='as it is \\n # no comment'  # a comment
DOUBLE="two\\nlines and a \\" quote"
EMPTY=
EQUALS=a=b=c
"""


def test_lines_of_a_file() -> None:
    assert parsed(TEXT.splitlines(), where="") == {
        "PLAIN": "value",
        "EXPORTED": "spaced",
        "HASH": "a#b",
        "SINGLE": "as it is \\n # no comment",
        "DOUBLE": 'two\nlines and a " quote',
        "EMPTY": "",
        "EQUALS": "a=b=c",
    }


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nnothing\n")
    with pytest.raises(
        ProjectError, match=r"langgraph.json: 'env' names .env, whose line 2 is not NAME=value."
    ):
        variables(".env", file=tmp_path / "langgraph.json")


def test_an_example_of_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("A=1\n")
    with pytest.raises(ProjectError, match=r"cannot be read: .* Copy .env.example to it and fill it in."):
        variables(".env", file=tmp_path / "langgraph.json")


def test_a_container_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "ignore")
    assert variables(".env", file=tmp_path / "langgraph.json") == {}
    assert variables({"A": "1"}, file=tmp_path / "langgraph.json") == {"A": "1"}


def test_the_real_environment_wins() -> None:
    environ = {"A": "real"}
    apply({"A": "file", "B": "file"}, environ)
    assert environ == {"A": "real", "B": "file"}
