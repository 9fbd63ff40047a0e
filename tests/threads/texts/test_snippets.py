"""The shown part of a text: short, around the match, with the matches apart."""

from __future__ import annotations

import pytest

from tests.threads.texts.nasty import NASTY
from threads.texts.snippets import LENGTH, snippet
from threads.texts.words import pattern_of


def test_the_match_stands_apart() -> None:
    text = "One two. " * 20 + "The grey Heron\nand another heron. " + "More. " * 50
    pieces = snippet(text, pattern_of("HERON"))
    assert pieces[1::2] == ["Heron", "heron"]
    whole = "".join(pieces)
    assert whole.startswith("…")
    assert whole.endswith("…")
    assert "The grey Heron and another heron." in whole
    assert len(whole) <= LENGTH + 2


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("le résumé", "resume", ["le ", "résumé", ""]),
        ("東京都の人口", "京都", ["東", "京都", "の人口"]),
        ("東京都の人口", "東京都", ["", "東京都", "の人口"]),
        ("beep 🤖!", "🤖", ["beep ", "🤖", "!"]),
        ("another other", "other", ["another ", "other", ""]),
        ("nothing", "heron", []),
        ("nothing", "?", []),
        ("", "heron", []),
    ],
)
def test_matches_are_what_was_written(text: str, query: str, expected: list[str]) -> None:
    assert snippet(text, pattern_of(query)) == expected


@pytest.mark.parametrize("query", NASTY)
def test_any_text_found_by_itself_is_whole(query: str) -> None:
    text = query[:LENGTH]
    assert snippet(text, pattern_of(query)) == [] or "".join(snippet(text, pattern_of(query))).strip()
