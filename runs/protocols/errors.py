"""Errors as clients read them, and as operators do. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from threads.disclosure import HIDDEN, is_shown
from threads.redaction import redacted_text


def describe(error: BaseException) -> tuple[dict[str, str], dict[str, str]]:
    """An exception as clients may read it, and as operators do; neither reads a secret."""
    # Libraries of models and tools say which key was wrong.
    name, message = type(error).__name__, redacted_text(str(error))
    shown = message if is_shown(error) else HIDDEN
    detail = {"error": name, "message": message}
    return {"error": name, "message": shown}, detail if shown == message else {**detail, "shown": shown}


def shown_message(detail: Mapping[str, str]) -> str:
    """What clients may read of an operator's description of an error."""
    return detail.get("shown", detail["message"])
