"""Namespaces as one text column, in which all namespaces below another are a range. Pure.

("users", "7") is "users.7.": labels have no periods, so the text is unambiguous, and the namespaces
below it begin with it.
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
    """The start and the exclusive end of the range below a prefix; None for everything."""
    text = encode(prefix)
    return (text, text[: -len(END)] + AFTER_END) if text else None
