"""Errors in two forms: for clients and for operators. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from threads.db.values.plain import class_name
from threads.db.values.text import encodable
from threads.disclosure import HIDDEN, is_shown, text_of
from threads.redaction import RedactingFormatter, redacted_text

#: The most characters of a stored traceback; its end says most.
LONGEST_TRACEBACK = 16 * 1024
#: A file's path in a traceback.
PATH = re.compile(r'(?<=File ")[^"\n]{1,1000}(?=")')
#: The note that LangGraph adds to a task's exception, once for each graph around the task.
TASK_NOTE = re.compile(r"During task with name '([^']{0,200})' and id '([^']{0,100})'")


def describe(error: BaseException) -> tuple[dict[str, str], dict[str, str]]:
    """An exception for clients and for operators, both without secrets."""
    # Libraries of models and tools include the rejected key in their messages.
    name, message = class_name(type(error)), redacted_text(text_of(error))
    shown = message if is_shown(error) else HIDDEN
    detail = {"error": name, "message": message}
    return {"error": name, "message": shown}, detail if shown == message else {**detail, "shown": shown}


def told(error: BaseException) -> dict[str, str]:
    """One of the server's own errors, whose message hides nothing, for clients."""
    return {"error": class_name(type(error)), "message": text_of(error)}


def shown_message(detail: Mapping[str, str]) -> str:
    """The part of an operator's error description that clients may read."""
    return detail.get("shown", detail["message"])


def failure_of(error: BaseException) -> dict[str, Any]:
    """Where an exception came from, for operators: its traceback without secrets, and its tasks.

    `tasks` are the graph's task that failed and those of subgraphs within it, outermost first, each
    as {"name", "id"}; `node` is the innermost one's name, None if no task raised it.
    """
    text = _traceback(error)
    if len(text) > 4 * LONGEST_TRACEBACK:
        text = text[-4 * LONGEST_TRACEBACK :]
    text = PATH.sub(lambda found: _short(found[0]), redacted_text(text))
    if len(text) > LONGEST_TRACEBACK:
        text = "…" + text[-LONGEST_TRACEBACK:]
    found = [match for note in _notes(error) if (match := TASK_NOTE.search(note[:500]))]
    tasks = [{"name": match[1], "id": match[2]} for match in reversed(found)]
    return {"node": tasks[-1]["name"] if tasks else None, "tasks": tasks, "traceback": text}


def _traceback(error: BaseException) -> str:
    try:
        return encodable(RedactingFormatter().formatException((type(error), error, error.__traceback__)))
    except Exception:
        return f"{class_name(type(error))}: its traceback cannot be read."


def _notes(error: BaseException) -> list[str]:
    """The notes of an exception, whose attribute may be anything."""
    notes = vars(error).get("__notes__")
    return [encodable(each) for each in notes if isinstance(each, str)] if isinstance(notes, list) else []


def _short(path: str) -> str:
    """A file's path without what is before its package: operators read the rest."""
    for mark in ("/site-packages/", "/lib/python"):
        if mark in path:
            return path[path.rindex(mark) + 1 :]
    folders = [f"{folder.rstrip('/')}/" for folder in sys.path if folder.strip("/")]
    within = max((folder for folder in folders if path.startswith(folder)), key=len, default="")
    return path[len(within) :]
