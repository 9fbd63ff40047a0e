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


def storable(text: str) -> str:
    """The text with U+FFFD in place of what a database may refuse."""
    if is_text(text):
        return text
    return "".join(REPLACEMENT if each == "\0" or "\ud800" <= each <= "\udfff" else each for each in text)
