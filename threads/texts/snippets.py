"""The part of a text that a query has found. Pure: no Django, no database."""

from __future__ import annotations

import re

from threads.texts.words import fold

#: The characters shown before a match, and in all.
BEFORE, LENGTH = 40, 160
_SPACES = re.compile(r"\s+")


def snippet(text: str, wanted: re.Pattern[str] | None) -> list[str]:
    """The text around the first match in pieces, of which every second one is a match; [] without a match.

    Args:
        wanted: Matches in the folded text (`words.pattern_of`).
    """
    folded = fold(text)
    first = wanted.search(folded) if wanted else None
    if wanted is None or first is None:
        return []
    start, end = _window(text, first.start())
    pieces, at = ["…" if start else ""], start
    for match in wanted.finditer(folded, start, end):
        pieces[-1] += text[at : match.start()]
        pieces += [text[match.start() : match.end()], ""]
        at = match.end()
    pieces[-1] += text[at:end] + ("…" if end < len(text) else "")
    return [_SPACES.sub(" ", piece) for piece in pieces]


def _window(text: str, place: int) -> tuple[int, int]:
    """The bounds of the shown part, which begins with a whole word if one begins near."""
    start = max(0, place - BEFORE)
    if start and (space := _SPACES.search(text, start, place)):
        start = space.end()
    return start, min(len(text), start + LENGTH)
