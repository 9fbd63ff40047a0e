"""Archaic phrases in comments, docstrings and pages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: Patterns by name. Each is rare in plain technical English; the reader decides whether an occurrence is
#: wrong.
PHRASES = {
    "anew": r"\banew\b",
    "in vain": r"\bin vain\b",
    "let no": r"\blets? (no|nothing|nobody|none)\b",
    "for it is": r"(?:^|[,;:.)] )for (?:it|they|there|he|nobody|nothing|none|these|those)\b(?! (?:of|to)\b)",
    "is not to": r"\b(?:is|are|was|were) (?:not )?to (?!be\b.*\?)(?:be|have|hear|do|go|know|see|say)\b",
    "thereby": r"\b(?:thereby|therein|thereof|thereafter|whereby|wherein|hereby|henceforth|hence|thus|whence|upon|shall|lest)\b",
    "Who hears": r"(?:^|[.:;,] )who (?:\w+s|has|is|may)\b",
    "whoever": r"\bwho(?:m|so)?ever\b",
    "somebody, nobody": r"\b(?:some|no)body\b",
    "hears of": r"\b(?:hears?|heard) of\b",
    "what became of": r"\bwhat (?:becomes|became|comes|came) of\b",
    "stands, stood": r"\b(?:stands?|stood) (?!for\b|in for\b)",
    "once more": r"\b(?:once more|again and again|ever again|for ever|at last|all the same|as yet)\b",
    "the former": r"\bthe (?:former|latter)\b",
    "give or take": r"\bgive or take\b",
    "of no use": r"\b(?:of no use|no use|that is none|(?<!there )(?:are|is) (?-i:none))\b(?! (?:else|but|if))",
    "puts off": r"\bput(?:s|ting)? \w* ?off\b",
    "besides": r"\bbesides\b",
    "nor": r"^(?!.*\bneither\b).*\bnor\b",
    "give up, gave up": r"\bgave (?:it )?up\b",
}
PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in PHRASES.items()}


@dataclass(frozen=True, slots=True)
class Place:
    phrase: str
    path: Path
    line: int
    text: str


def found(path: Path, text: str) -> Iterator[Place]:
    """Find the phrases in a page, or in the comments and docstrings of a module."""
    for number, line in _prose(text) if path.suffix == ".py" else enumerate(text.splitlines(), 1):
        for phrase, pattern in PATTERNS.items():
            if pattern.search(line):
                yield Place(phrase, path, number, line.strip())


def _prose(text: str) -> Iterable[tuple[int, str]]:
    lines = dict(_docstring_lines(ast.parse(text)))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0]] = token.string.lstrip("#: ")
    return sorted(lines.items())


def _docstring_lines(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            value = first.value if isinstance(first, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield from enumerate(value.value.splitlines(), value.lineno)
