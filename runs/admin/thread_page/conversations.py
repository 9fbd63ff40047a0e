"""A thread's messages and questions as people read them, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from threads.display import EMPTY
from threads.redaction import redacted, redacted_text
from threads.texts.content import text_of
from threads.texts.questions import question_of

#: The most messages that a page shows, and the most characters of each.
MOST, LONGEST = 100, 4000
#: How messages' authors are called.
AUTHORS = {
    "human": "Person", "user": "Person", "ai": "Agent", "assistant": "Agent", "tool": "Tool", "system": "System",
    "HumanMessageChunk": "Person", "AIMessageChunk": "Agent",
}  # fmt: skip


def messages(values: Any) -> SafeString | str:
    """The last messages of a state."""
    found = values.get("messages") if isinstance(values, Mapping) else None
    shown = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    if not shown:
        return EMPTY
    rows = format_html_join(
        "",
        '<li><b>{}</b><span dir="auto">{}</span></li>',
        (_message(redacted(each)) for each in shown[-MOST:]),
    )
    left = len(shown) - MOST
    note = format_html('<p class="cut">The first {} are left out.</p>', left) if left > 0 else ""
    return format_html('{}<ol class="conversation">{}</ol>', note, rows)


def _message(message: Mapping[str, Any]) -> tuple[str, str]:
    kind = str(message.get("type") or message.get("role") or "")
    text = text_of(message.get("content"))
    calls = message.get("tool_calls")
    named = (
        [str(each.get("name")) for each in calls if isinstance(each, Mapping)]
        if isinstance(calls, list)
        else []
    )
    if named:
        text = "\n".join([*filter(None, [text]), f"Calls {', '.join(named)}."])
    author = AUTHORS.get(kind, kind.capitalize() or "Message")
    if kind == "tool" and message.get("name"):
        author = f"Tool {message['name']}"
    return author, _cut(text or "(no text)")


def questions(interrupts: Mapping[str, Any]) -> SafeString | str:
    """What waits for an answer, with the way to the inbox."""
    asked = [sentence(each.get("value")) for found in interrupts.values() for each in found]
    if not asked:
        return EMPTY
    return format_html(
        '<ul class="conversation">{}</ul><a href="{}">Answer in the inbox</a>',
        format_html_join("", '<li dir="auto">{}</li>', ((each,) for each in asked)),
        reverse("admin:runs_waiting_changelist"),
    )


def sentence(value: Any) -> str:
    """A question in words: its text, or the actions that it names."""
    return _cut(question_of(redacted(value)))


def _cut(text: str) -> str:
    # A JSON column of SQLite can hold a lone surrogate; a response cannot.
    clean = redacted_text(text[: LONGEST + 1]).encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= LONGEST else f"{clean[:LONGEST]}…"
