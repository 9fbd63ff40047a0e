"""Errors in two forms: for clients and for operators. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from threads.disclosure import HIDDEN, is_shown
from threads.redaction import redacted_text


def describe(error: BaseException) -> tuple[dict[str, str], dict[str, str]]:
    """An exception for clients and for operators, both without secrets."""
    # Libraries of models and tools include the rejected key in their messages.
    name, message = type(error).__name__, redacted_text(str(error))
    shown = message if is_shown(error) else HIDDEN
    detail = {"error": name, "message": message}
    return {"error": name, "message": shown}, detail if shown == message else {**detail, "shown": shown}


def shown_message(detail: Mapping[str, str]) -> str:
    """The part of an operator's error description that clients may read."""
    return detail.get("shown", detail["message"])
