"""The report's own logic, on small examples."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.circles import circles, of_folders
from tests.house.prose import found
from tests.house.sources import PACKAGES, Module, imported, read, unexplained

ROOT = Path(__file__).resolve().parents[2]


def module(name: str, text: str = "", *, package: bool = False) -> Module:
    path = Path(name.replace(".", "/") + ("/__init__.py" if package else ".py"))
    return Module(name, path, text, ast.parse(text))


def test_circles_are_the_groups_that_reach_each_other() -> None:
    graph = {"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": ["e"], "e": ["d"], "f": ["a", "f"]}
    assert circles(graph) == [["a", "b", "c"], ["d", "e"]]


def test_a_folder_knows_the_folders_inside_it_and_roots_stand_for_themselves() -> None:
    graph = {"runs.a.x": ["runs.a.b.y", "runs.conf"], "runs.a.b.y": ["runs.a.x"], "runs.conf": ["runs.c.z"]}
    folders = {"runs.a.x": "runs.a", "runs.a.b.y": "runs.a.b", "runs.conf": "runs", "runs.c.z": "runs.c"}
    assert of_folders(graph, folders) == {"runs.a": {"runs.conf"}, "runs.conf": {"runs.c"}}


def test_imports_are_those_that_are_executed() -> None:
    names = {each: module(each) for each in ("runs.a", "runs.b", "runs.b.c", "runs.d", "runs.e")}
    text = """
from typing import TYPE_CHECKING
import runs.d
from runs.b import c, name
from runs.elsewhere import thing
if TYPE_CHECKING:
    from runs import e
def later():
    from runs import a
"""
    assert imported(module("runs.x", text), names) == {"runs.a", "runs.b", "runs.b.c", "runs.d"}


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("Read it anew", "anew"),
        ("Locked, for it may grow", "for it is"),
        ("Who hears the end of a run", "Who hears"),
        ("The key is not to be shown", "is not to"),
        ("lets no text pass", "let no"),
    ],
)
def test_phrases_are_found_in_comments_and_docstrings_alone(line: str, phrase: str) -> None:
    text = f'"""{line}"""\nname = "{line}"\n# {line}\n'
    assert [(each.phrase, each.line) for each in found(Path("a.py"), text)] == [(phrase, 1), (phrase, 3)]
    assert [each.line for each in found(Path("a.md"), f"plain\n\n{line}\n")] == [3]


def test_plain_english_is_not_found() -> None:
    text = '"""Return the rows because they are locked; a reader that stalls is skipped."""\n'
    assert not list(found(Path("a.py"), text))
    assert not list(found(Path("a.py"), '"""Skipped if the value is None."""\n'))
    assert list(found(Path("a.py"), '"""Other signs are none."""\n'))


def test_imports_inside_functions_say_why() -> None:
    modules = read(ROOT, *PACKAGES)
    assert not [f"{each.path}:{line}" for each in modules.values() for line in unexplained(each)]
    text = "def f():\n    import a\n\ndef g():\n    # Because.\n    import b\n    import c\n"
    assert list(unexplained(module("x", text))) == [2]
