"""Colours on a terminal, plain text elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest

from deerflow_site.development.terminal import Terminal, has_colours


class Screen(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal, environ, expected", [
    (True, {"TERM": "xterm"}, True),
    (True, {"TERM": "dumb"}, False),
    (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    (False, {}, False),
    (False, {"FORCE_COLOR": "1"}, True),
])  # fmt: skip
def test_when_there_are_colours(terminal: bool, environ: dict[str, str], expected: bool) -> None:
    assert has_colours(Screen() if terminal else StringIO(), environ) is expected


def test_a_table_is_aligned_and_continues_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = StringIO()
    terminal = Terminal(stream)
    terminal.table(
        [("Chat", "http://a/", ""), ("Graphs", "a", "./a.py:graph"), ("", "longer", "./b.py:graph")]
    )
    terminal.bad("first\nsecond")
    assert stream.getvalue().splitlines() == [
        "  Chat    http://a/",
        "  Graphs  a       ./a.py:graph",
        "          longer  ./b.py:graph",
        "✗ first",
        "second",
    ]
