"""Texts that every database can store. Pure: no Django."""

from __future__ import annotations

REPLACEMENT = "\ufffd"


def is_text(text: str) -> bool:
    """Whether every database can store and find a text: it has no NUL and no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def encodable(text: str) -> str:
    """The text with U+FFFD in place of lone surrogates, which no encoder accepts."""
    # The method of `str`, because a subclass may have another one.
    return str.encode(text, "utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def storable(text: str) -> str:
    """The text with U+FFFD in place of what a database may refuse."""
    return encodable(text).replace("\0", REPLACEMENT)
