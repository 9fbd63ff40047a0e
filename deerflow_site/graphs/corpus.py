"""The bundled document collection: short notes on disk, ranked with BM25."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DOCUMENTS = Path(__file__).parent / "documents"

# The usual BM25 constants: the saturation of repeated words, and the penalty of long notes.
SATURATION, LENGTH_WEIGHT = 1.5, 0.75
# Words of the title count more than words of the text.
TITLE_WEIGHT = 3

COMMON_WORDS = """
    a about after all also an and any are as at be been before between but by can could describe do does
    doing down during each else explain find for from get gets give had happen happens has have help how
    i if in into is it its keep make makes may me might more most my need new no not of on one only or
    other our out please prevent report research say should so some still such tell than that the their
    them then there these they thing things this those to two under up us use used using very want was
    we were what when where which while who whom whose why will with without work works would write you
    your
"""
STOPWORDS = frozenset(COMMON_WORDS.split())


@dataclass(frozen=True, slots=True)
class Note:
    """One document: `id` is its file name, `kind` its folder."""

    id: str
    kind: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A note that matches a query, and how well (a BM25 score, higher is better)."""

    note: Note
    score: float


def keywords(text: str) -> list[str]:
    """The distinct words of `text` that carry meaning, in lower case and in their order."""
    words = re.findall(r"\w+", text.lower())
    return list(dict.fromkeys(word for word in words if len(word) > 1 and word not in STOPWORDS))


def stem(word: str) -> str:
    """A crude stem, the same for `lease`, `leases` and `leased`."""
    for suffix in ("ing", "ly", "ed", "es", "s"):
        root = word.removesuffix(suffix)
        if root != word and len(root) > 2 and not word.endswith("ss"):
            word = root
            break
    if word.endswith("y"):
        word = word[:-1] + "i"
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def stems(text: str) -> list[str]:
    return [stem(word) for word in re.findall(r"\w+", text.lower()) if word not in STOPWORDS]


def sentences(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+", text) if part.strip()]


def best_sentence(text: str, terms: Iterable[str]) -> str:
    """The sentence of `text` with the most of `terms` (stems); the first one of equals."""
    wanted = set(terms)
    return max(sentences(text), key=lambda sentence: len(wanted.intersection(stems(sentence))), default="")


class Collection:
    """An immutable search index over notes, so that any number of runs can share it."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self.notes = tuple(sorted(notes, key=lambda note: note.id))
        self._counts = [Counter(stems(f"{note.title} " * TITLE_WEIGHT + note.text)) for note in self.notes]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._average = sum(self._lengths) / max(len(self._lengths), 1)
        self._containing = Counter(term for counts in self._counts for term in counts)

    def search(self, query: str, *, kind: str = "", limit: int = 3) -> list[Hit]:
        """The notes that share a word with `query`, best first; equal scores in the order of their ids."""
        terms = set(stems(query))
        hits = [
            Hit(note, round(score, 3))
            for index, note in enumerate(self.notes)
            if (not kind or note.kind == kind) and (score := self._score(index, terms)) > 0
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.note.id))[:limit]

    def _score(self, index: int, terms: set[str]) -> float:
        counts = self._counts[index]
        held_back = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * self._lengths[index] / self._average)
        return math.fsum(
            self._rarity(term) * counts[term] * (SATURATION + 1) / (counts[term] + held_back)
            for term in terms
            if term in counts
        )

    def _rarity(self, term: str) -> float:
        containing = self._containing[term]
        return math.log(1 + (len(self.notes) - containing + 0.5) / (containing + 0.5))


def read_note(path: Path) -> Note:
    """Read a note: a Markdown heading, an empty line, and its text."""
    heading, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    title = heading.removeprefix("# ").strip()
    return Note(id=path.stem, kind=path.parent.name, title=title, text=" ".join(text.split()))


@cache
def bundled() -> Collection:
    """The notes that come with the demo agent, indexed once."""
    notes = [read_note(path) for path in DOCUMENTS.glob("*/*.md")]
    if not notes:
        raise FileNotFoundError(f"No notes in {DOCUMENTS}; install the site together with its *.md files.")
    return Collection(notes)
