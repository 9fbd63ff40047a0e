"""Namespaces as one column of text, in which those below another are a range. Pure.

("users", "7") is "users.7.": a label has no period, so the text is unambiguous, and what begins with it is below it.
"""

from __future__ import annotations

from collections.abc import Sequence

END, AFTER_END = ".", "/"


Namespace = tuple[str, ...]


def encode(namespace: Sequence[str]) -> str:
    return "".join(f"{label}{END}" for label in namespace)


def decode(text: str) -> Namespace:
    return tuple(text.split(END)[:-1])


def below(prefix: Sequence[str]) -> tuple[str, str] | None:
    """Where what begins with a prefix starts, and where it has ended; None for everything."""
    text = encode(prefix)
    return (text, text[: -len(END)] + AFTER_END) if text else None
