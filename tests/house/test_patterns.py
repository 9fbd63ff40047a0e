"""Regular expressions take time in proportion to a text, whatever the text is.

Each pattern is in one table, with how it is applied and texts that would make a careless one slow.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from deerflow_site.graphs.agent import read_plan
from deerflow_site.graphs.scripted import words
from runs.admin.run_search.terms import UnknownTerm, parsed
from threads.texts.words import pattern_of

ROOT = Path(__file__).parents[2]
FUNCTIONS = {"compile", "sub", "subn", "search", "match", "fullmatch", "split", "findall", "finditer"}
#: Lengths of a text to compare, and how often each is measured; the fastest counts, because others run beside it.
SHORT, TIMES, TRIES = 800, 4, 3
#: Proportional time is `TIMES` as much, quadratic time its square. A text that takes less than this many seconds is quick.
MOST, QUICK = 9, 0.002

#: What is repeated to make a text: (beginning, repeated, end).
Piece = tuple[str, str, str]
SPACES, WORDS, DIGITS = ("", " ", ""), ("", "a", ""), ("", "1", "")
USUAL: list[Piece] = [SPACES, WORDS, DIGITS, ("", "\n", ""), ("", '"', ""), ("a", " ", "!"), ("", "a ", "\0")]

#: A pattern, by its module and its name, or its text where it has no name: how it is applied, and texts besides
#: the usual ones.
PATTERNS: dict[tuple[str, str], tuple[str, list[Piece]]] = {
    ("deerflow_site.graphs.agent", r"'^[ \\t]*\\d+[.)][ \\t]+(\\S.*)'"): (
        "findall", [("1.", " ", ""), ("", "\n ", ""), ("", "1.", ""), ("1. ", "a ", ""), ("", "1. a\n", "")]),
    ("deerflow_site.graphs.corpus", r"'\\w+'"): ("findall", []),
    ("deerflow_site.graphs.corpus", r"'(?<=[.!?])\\s+'"): ("split", [(".", " ", ""), ("", ". ", "")]),
    ("deerflow_site.graphs.script", r"'\\b(short|brief|concise|less|fewer)'"): ("search", [("", "shor ", "")]),
    ("deerflow_site.graphs.script", r"'\\b(long|more|detail|expand)'"): ("search", [("", "mor ", "")]),
    ("deerflow_site.graphs.scripted", r"'\\A\\s*\\S+\\s*|\\S+\\s*'"): ("findall", [("", " \n", ""), ("a", " ", "a")]),
    ("deerflow_site.graphs.scripted", r"'\\w+|[^\\w\\s]'"): ("findall", [("", "!", "")]),
    ("runs.admin.run_search.terms", "TERM"): (
        "match", [('"', "a", ""), ("", "a.", ""), ("a.", "b", '"'), ("a:", "b", '"'), ("", " ", '"'), ("a:", ":", '"')]),
    ("runs.admin.inbox", "PLACE"): ("fullmatch", [("1-", "a", "x")]),
    ("runs.api.http.metering", "_PARAMETER"): ("sub", [("", "<", ""), ("<", "a", ""), ("", "<a:", "")]),
    ("runs.api.openapi.document", "_PARAMETER"): ("sub", [("", "{", ""), ("{", "a", "")]),
    ("runs.api.schemas.assistants", "NUMBER"): ("fullmatch", [("", "0", "x"), ("", "01", "")]),
    ("runs.events.deltas", "_HEAD"): ("match", [('[["a",[', "1", ""), ('[["', "a", "")]),
    ("runs.graphs.loading", "'[^0-9A-Za-z_]'"): ("sub", [("", "-", "")]),
    ("runs.graphs.sources", "QUEUE"): ("fullmatch", []),
    ("runs.identity.auth_file.rules", r"'<[^>]*>|\\{[^}]*\\}'"): ("sub", [("", "<>", ""), ("", "{a}", "")]),
    ("runs.identity.authentication", r"'[^\\w.+-]'"): ("sub", [("", "@", "")]),
    ("runs.identity.origins", "_ORIGIN"): ("fullmatch", [("http://", "a.", "!"), ("http://[", ":", ""), ("http://a:", "1", "")]),
    ("runs.management.agents.printing.event_lines", "PLACE"): ("sub", [("", "a:", ""), ("", "a|", ""), ("a:", "0", "")]),
    ("runs.protocols.errors", "PATH"): ("sub", [("", 'File "', ""), ('File "', "a", ""), ('File "', "a/", "\n")]),
    ("runs.protocols.errors", "TASK_NOTE"): ("search", [("", "During task with name '", ""), ("During task with name '", "a", "")]),
    ("runs.protocols.sse", "_ID"): ("fullmatch", [("1-", "1", "x"), ("", "1-", "")]),
    ("threads.api.extraction", "_STEP"): ("match", [(".", "a", "["), ("[", "1", ""), ("", ".", "")]),
    ("threads.api.extraction", r"'[.\\[]'"): ("split", [("", ".", ""), ("", "[", "")]),
    ("threads.db.conditions", "PLAIN"): ("fullmatch", [("", "a ", '"')]),
    ("threads.disclosure", "_SHOWN_AS"): ("match", []),
    ("threads.redaction", "LIKE_A_SECRET"): ("fullmatch", [("", "a", "1!"), ("", "a1", " ")]),
    ("threads.redaction", "SECRET_NAME"): ("search", [("", "_", ""), ("", "_a", ""), ("_", "token", "s!")]),
    ("threads.redaction", "IN_TEXT"): (
        "sub", [("", "token", ""), ("", "token:", ""), ("token", "\\", ""), ("token=", "\\", ""), ("", "Bearer ", ""), ("", "://", ""),
                ("://", "a", ":"), ("", "://a:", ""), ("://a:", "b", ""), ("", "sk-", ""), ("token", " ", ":"), ("", '\\"', "")]),
    ("threads.redaction", "CONTROL"): ("sub", [("", "\0", "")]),
    ("threads.texts.snippets", "_SPACES"): ("sub", [("", " a", "")]),
    ("threads.texts.words", "_TOKEN"): (
        "findall", [("", "क\u0903", "!"), ("", "\u0903", "!"), ("", "ก", ""), ("", "a\u0301", ""), ("", "\u0301", ""), ("", "😀", "")]),
    ("threads.texts.words", "_ASCII_TOKEN"): ("findall", []),
    ("threads.texts.words", "_UNSPACED"): ("match", []),
    ("threads.texts.words", "_DIACRITICS"): ("sub", [("", "\u0301", "")]),
}  # fmt: skip
#: Patterns that are not measured, and why.
EXEMPT = {
    ("runs.pages.modules", "IMPORT"): "It reads this project's own scripts, once.",
    (
        "threads.texts.words",
        "'|'.join(parts)",
    ): "Alternatives of escaped words; `pattern_of` is measured below.",
}


def patterns() -> Iterator[tuple[str, str]]:
    """Each pattern of the project by its module and name, or its text."""
    for folder in ("runs", "threads", "deerflow_site/graphs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            if "import re\n" in text:
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                tree = ast.parse(text)
                names = {id(value): name for name, value in assigned(tree)}
                for node in ast.walk(tree):
                    if isinstance(node, ast.Call) and is_of_re(node.func):
                        yield module, names.get(id(node)) or ast.unparse(node.args[0])


def is_of_re(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in FUNCTIONS
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
    )


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The values of a module's names."""
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else []:
            if isinstance(target, ast.Name):
                yield target.id, node.value  # type: ignore[union-attr]
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):  # type: ignore[union-attr]
                for each, value in zip(target.elts, node.value.elts, strict=True):  # type: ignore[union-attr]
                    yield ast.unparse(each), value


def test_each_pattern_is_in_the_table() -> None:
    assert set(patterns()) == set(PATTERNS) | set(EXEMPT)


def compiled(module: str, name: str) -> re.Pattern[str]:
    if name.isidentifier():
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, re.Pattern)
        return found
    return re.compile(ast.literal_eval(name), re.MULTILINE if module.endswith(".agent") else 0)


def seconds(call: Callable[[str], object], text: str) -> float:
    """The time of this thread that a call takes, when nothing disturbs it."""
    taken = []
    for _ in range(TRIES):
        began = time.thread_time()
        call(text)
        taken.append(time.thread_time() - began)
        if taken[-1] < QUICK:
            break
    return min(taken)


def slow(call: Callable[[str], object], pieces: list[Piece]) -> list[Piece]:
    """The texts for which the time grows faster than their lengths."""

    def took(piece: Piece, length: int) -> float:
        beginning, repeated, end = piece
        return seconds(call, beginning + repeated * (length // len(repeated)) + end)

    return [
        piece
        for piece in pieces
        if (longer := took(piece, SHORT * TIMES)) > QUICK and longer > MOST * took(piece, SHORT)
    ]


@pytest.mark.parametrize("pattern", PATTERNS, ids=" ".join)
def test_a_text_that_is_four_times_as_long_takes_about_four_times_as_long(pattern: tuple[str, str]) -> None:
    method, pieces = PATTERNS[pattern]
    found = compiled(*pattern)
    call = partial(found.sub, "x") if method == "sub" else getattr(found, method)
    assert not slow(call, [*USUAL, *pieces])


def terms(text: str) -> None:
    try:
        parsed(text)
    except UnknownTerm:
        return


def test_so_do_the_functions_around_them() -> None:
    plan = partial(read_plan, question="why")
    assert not slow(plan, [*USUAL, ("1.", " ", ""), ("", "1. a\n", "")])  # type: ignore[arg-type]
    assert not slow(words, USUAL)
    assert not slow(terms, [*USUAL, ('"', "a", ""), ("", "a.", ""), ("a:", "b", '"')])
    pattern = pattern_of("aa a b 日本")
    assert pattern is not None
    assert not slow(pattern.findall, [*USUAL, ("", "日", ""), ("", "aab", "")])


def test_a_careless_pattern_is_noticed() -> None:
    assert slow(re.compile(r"\s*\d").findall, [SPACES]) == [SPACES]
    assert slow(re.compile(r"a*b").findall, [WORDS]) == [WORDS]
