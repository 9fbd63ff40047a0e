"""What is likely a secret, by its name: not shown to clients, and not written to logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

HIDDEN = "***"
WORDS = (
    "(?:api|private|access|secret|signing|encryption)[_-]?key|token|secret|password|passwd|passphrase|"
    "authorization|cookie|credential"
)
#: The words as ends of names, so that "max_tokens" and "token_count" are none.
SECRET_NAME = re.compile(rf"(?:^|[_\-.\s])(?:[a-z]+)?(?:{WORDS})$", re.IGNORECASE)
#: In a text: a name and its value, a bearer's token, and keys of this site and of well-known services by how they begin.
IN_TEXT = re.compile(
    # Quotes may be escaped: a text within a text.
    rf"""(?P<name>\b[\w-]*(?:{WORDS})\\*["']?\s*[:=]\s*(?:Bearer\s+|Basic\s+)?\\*["']?)"""
    r"""(?P<value>(?:[^\s"',;)}\]\\]|\\(?!["']))+)"""
    r"""|(?P<scheme>\bBearer\s+)(?P<token>[\w.~+/=-]{8,})|(?P<key>\b(?:dfk_|sk-|lsv2_|gh[pousr]_)[\w-]{8,})""",
    re.IGNORECASE,
)


def redacted(value: Any) -> Any:
    """A JSON value in which the values of secret names are hidden."""
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if isinstance(name, str) and each and SECRET_NAME.search(name) else redacted(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


def restored(given: Any, before: Any) -> Any:
    """A client's JSON in which what it was shown as hidden is what is hidden there: it sends back what it has read.

    Args:
        before: What the client was shown without secrets; what is hidden of which nothing is known is left out.
    """
    if isinstance(given, Mapping):
        known = before if isinstance(before, Mapping) else {}
        whole = {}
        for name, each in given.items():
            if each != HIDDEN or not SECRET_NAME.search(name):
                whole[name] = restored(each, known.get(name))
            elif name in known:
                whole[name] = known[name]
        return whole
    if isinstance(given, list):
        there = before if isinstance(before, list) else []
        return [restored(each, old) for each, old in zip_longest(given, there[: len(given)])]
    return given


def redacted_text(text: str) -> str:
    """A text in which what looks like a secret is hidden."""
    return IN_TEXT.sub(lambda found: (found["name"] or found["scheme"] or "") + HIDDEN, text)


class RedactingFormatter(logging.Formatter):
    """Hides secrets in lines of the log, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted_text(super().format(record))
