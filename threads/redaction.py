"""Likely secrets, recognised by name: hidden from clients and logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from traceback import TracebackException
from typing import Any

HIDDEN = "***"
WORDS = (
    "(?:api|private|access|secret|signing|encryption)[_-]?key|token|secrets?|password|passwd|passphrase|pwd|"
    "authorization|cookie|credentials?|session[_-]?id|connection[_-]?string|dsn|jwt"
)
#: Names that are secrets only if their values look like one: long, with letters and digits.
PERHAPS = frozenset({"key", "auth"})
LIKE_A_SECRET = re.compile(r"(?=[^0-9]{0,200}[0-9])(?=[^a-zA-Z]{0,200}[a-zA-Z])[\w.~+/=-]{20,}")
#: How many characters are checked: of a name, from its end, and of a text. Longer ones come from outside.
LONGEST_NAME, LONGEST_TEXT = 80, 64 * 1024
#: The characters of an exception's message that a traceback in the log shows.
LONGEST_MESSAGE = 4000
#: The words at the ends of names, so that "max_tokens" and "token_count" do not match.
SECRET_NAME = re.compile(rf"(?:^|[_\-.\s])(?:[a-z]+)?(?:{WORDS})$", re.IGNORECASE)
#: In a text: a name and its value, a bearer token, and keys of this site and of well-known services by their
#: prefixes.
IN_TEXT = re.compile(
    # Quotes may be escaped, in text nested in text.
    rf"""(?P<name>(?:{WORDS})\\{{0,8}}["']?\s{{0,8}}[:=]\s{{0,8}}(?:Bearer\s{{1,8}}|Basic\s{{1,8}})?\\{{0,8}}["']?)"""
    r"""(?P<value>(?:[^\s"',;)}\]\\]|\\(?!["']))+)"""
    r"""|(?P<scheme>\bBearer\s{1,8})(?P<token>[\w.~+/=-]{8,})"""
    r"""|(?P<url>://[^\s:/@]{0,64}:)(?P<password>[^\s/@]{1,256})(?=@)"""
    r"""|(?P<key>\b(?:(?:df[kt]_|sk-|lsv2_|gh[pousr]_|xox[abeprs]-)[\w-]{8,}|AKIA[0-9A-Z]{16}\b|AIza[\w-]{35}))""",
    re.IGNORECASE,
)


def redacted(value: Any) -> Any:
    """A JSON value with the values of secret names hidden."""
    # Without recursion, because a graph's value may be nested deeper than Python's stack.
    whole: list[Any] = [value]
    waiting: list[Any] = [whole]
    while waiting:
        box = waiting.pop()
        for name, each in list(box.items()) if isinstance(box, dict) else enumerate(box):
            if isinstance(box, dict) and each and is_secret(name, each):
                box[name] = HIDDEN
            elif isinstance(each, Mapping | list | tuple):
                box[name] = copy = dict(each) if isinstance(each, Mapping) else list(each)
                waiting.append(copy)
    return whole[0]


def is_secret(name: object, value: Any) -> bool:
    """Whether the value under a name is likely a secret."""
    if not isinstance(name, str):
        return False
    if name.lower() in PERHAPS:
        return value == HIDDEN or (
            isinstance(value, str) and LIKE_A_SECRET.fullmatch(value[:500]) is not None
        )
    return SECRET_NAME.search(name[-LONGEST_NAME:]) is not None


def restored(given: Any, before: Any) -> Any:
    """A client's JSON with the secrets restored that it read, and sent back, as hidden values.

    Args:
        before: The value with its secrets, which the client read without them. Hidden values that
            it does not have are left out.
    """
    if isinstance(given, Mapping):
        known = before if isinstance(before, Mapping) else {}
        whole = {}
        for name, each in given.items():
            if each != HIDDEN or not is_secret(name, each):
                whole[name] = restored(each, known.get(name))
            elif name in known:
                whole[name] = known[name]
        return whole
    if isinstance(given, list):
        there = before if isinstance(before, list) else []
        return [restored(each, old) for each, old in zip_longest(given, there[: len(given)])]
    return given


def redacted_text(text: str) -> str:
    """A text with likely secrets hidden, cut at 64 Ki characters."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT} characters more)"
    return IN_TEXT.sub(lambda found: (found["name"] or found["scheme"] or found["url"] or "") + HIDDEN, text)


def _all_of(shown: TracebackException) -> Iterator[Any]:
    """An exception, its causes and contexts, and the members of groups."""
    waiting: list[Any] = [shown]
    while waiting:
        if (each := waiting.pop()) is not None:
            yield each
            waiting += [each.__cause__, each.__context__, *(getattr(each, "exceptions", None) or ())]


class RedactingFormatter(logging.Formatter):
    """Hides secrets in log lines, tracebacks included, and prevents forged lines.

    Text of a client or a model may contain line breaks and control characters. Lines after the
    first are indented, unlike the first line of a record; other control characters are escaped as
    in Python.
    """

    def formatException(self, ei: Any) -> str:  # noqa: N802 (the name in logging)
        """A traceback, in which long messages are cut: Python would split and indent them line by line."""
        shown = TracebackException(*ei)
        for each in _all_of(shown):
            text = getattr(each, "_str", None)
            if isinstance(text, str) and len(text) > LONGEST_MESSAGE:
                each._str = f"{text[:LONGEST_MESSAGE]}… ({len(text) - LONGEST_MESSAGE} characters more)"
        return "".join(shown.format()).removesuffix("\n")

    def format(self, record: logging.LogRecord) -> str:
        text = redacted_text(super().format(record))
        if CONTROL.search(text) is None:
            return text
        return CONTROL.sub(_escaped, text)


#: Line breaks and other control characters, except tabs.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def _escaped(found: re.Match[str]) -> str:
    return "\n    " if found[0] == "\n" else found[0].encode("unicode_escape").decode()
