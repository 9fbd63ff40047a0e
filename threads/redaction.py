"""What is likely a secret, by its name: not shown to clients, and not written to logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
WORDS = (
    "(?:api|private|access|secret|signing|encryption)[_-]?key|token|secret|password|passwd|passphrase|"
    "authorization|cookie|credential"
)
#: The words as ends of names, so that "max_tokens" and "token_count" are none.
SECRET_NAME = re.compile(rf"(?:^|[_\-.\s])(?:[a-z]+)?(?:{WORDS})$", re.IGNORECASE)
#: In a text: a name and its value, a bearer's token, and this site's own keys.
IN_TEXT = re.compile(
    rf"""(?P<name>\b[\w-]*(?:{WORDS})["']?\s*[:=]\s*(?:Bearer\s+|Basic\s+)?["']?)(?P<value>[^\s"',;)}}\]]+)"""
    r"""|(?P<scheme>\bBearer\s+)(?P<token>[\w.~+/=-]{8,})|(?P<key>\bdfk_[\w-]{8,})""",
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


def redacted_text(text: str) -> str:
    """A text in which what looks like a secret is hidden."""
    return IN_TEXT.sub(lambda found: (found["name"] or found["scheme"] or "") + HIDDEN, text)


class RedactingFormatter(logging.Formatter):
    """Hides secrets in lines of the log, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted_text(super().format(record))
