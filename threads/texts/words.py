"""The words of a text, in one form for writing and for searching. Pure: no Django, no database.

The databases' own parsers differ, and depend on a server's locale. So texts are split into words
here, and the databases index these words as they are. A word is folded: without case, width and
diacritics. Scripts without spaces, such as Chinese and Japanese, are split into overlapping pairs
of characters, so that any part of a sentence can be found. Each emoji is a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from unicodedata import normalize

#: A word's most characters; longer ones are found by their beginning.
LONGEST = 64

#: Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana and Chinese characters.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
EMOJI = "\u2190-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
DIACRITICS = "\u0300-\u036f"
#: What `\w` leaves out: accents, points, and the vowel signs of Indic scripts.
MARKS = f"{DIACRITICS}\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"

_LETTER = rf"[^\W_{UNSPACED}]"
_TOKEN = re.compile(rf"[{UNSPACED}]+|[{EMOJI}]|{_LETTER}+(?:[{MARKS}]+{_LETTER}*)*")
_ASCII_TOKEN = re.compile("[a-z0-9]+")
_UNSPACED, _DIACRITICS = re.compile(f"[{UNSPACED}]"), re.compile(f"[{DIACRITICS}]")
_PART_OF_WORD = rf"(?<!{_LETTER})"


class _Folding(dict[int, str]):
    """The folded form of each character: always one character, so that places stay the same."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        plain = _DIACRITICS.sub("", normalize("NFKD", char))
        forms = (normalize("NFC", plain.casefold()), char.lower(), char)
        folded = next(form for form in forms if len(form) == 1)
        if code < 0x10000:  # the rest is rare, and too large to keep
            self[code] = folded
        return folded


_FOLDING = _Folding()


def fold(text: str) -> str:
    """A text of the same length without case, width and diacritics; it should be in Unicode's NFC."""
    return text.lower() if text.isascii() else text.translate(_FOLDING)


def tokens(text: str) -> Iterator[str]:
    """The folded words of a text in order; a run of an unspaced script is one."""
    folded = fold(text)
    pattern = _ASCII_TOKEN if folded.isascii() else _TOKEN
    return (found[0] for found in pattern.finditer(folded))


def words_of(text: str) -> set[str]:
    """The words by which a text is found."""
    found: set[str] = set()
    for token in set(tokens(text)):
        if is_unspaced(token):
            # The last character alone, to be found by it.
            found.update(token[place : place + 2] for place in range(len(token)))
        else:
            found.add(token[:LONGEST])
    return found


def terms_of(query: str) -> list[str]:
    """The beginnings of words that a text must all have; those that others imply are left out."""
    found: set[str] = set()
    for token in tokens(normalize("NFC", query)):
        if is_unspaced(token) and len(token) > 1:
            found.update(token[place : place + 2] for place in range(len(token) - 1))
        else:
            found.add(token[:LONGEST])
    # Those that begin with a term follow it.
    return [term for term, after in pairwise([*sorted(found), ""]) if not after.startswith(term)]


def pattern_of(query: str) -> re.Pattern[str] | None:
    """A pattern that finds the query's words in a folded text, the longest first; None without words."""
    wanted = {*tokens(normalize("NFC", query)), *terms_of(query)}
    if not wanted:
        return None
    return re.compile("|".join(map(_place_of, sorted(wanted, key=lambda word: (-len(word), word)))))


def _place_of(word: str) -> str:
    inside = is_unspaced(word) or not word[0].isalnum()
    return ("" if inside else _PART_OF_WORD) + re.escape(word)


def is_unspaced(word: str) -> bool:
    return _UNSPACED.match(word) is not None
