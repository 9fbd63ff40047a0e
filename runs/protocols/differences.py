"""What changed between two states, for people to read: by key, and messages by their ids. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runs.encoding import encode

#: The most characters of a value in a difference.
MOST = 2000
Json = dict[str, Any]


def differences(before: Any, after: Any) -> list[Json]:
    """The changed keys of two states, in the later one's order; then those that were removed.

    Each is {"key", "op", "before", "after"} with op `add`, `remove` or `change`, and values as short
    text. A list of messages, or a list that grew at its end, has `items` instead, each {"id", "op",
    "type", "before", "after"}.
    """
    old = before if isinstance(before, Mapping) else {}
    new = after if isinstance(after, Mapping) else {}
    found: list[Json] = []
    for key, value in new.items():
        if key not in old:
            found.append(_change(key, "add", None, value))
        elif value != old[key]:
            found.append(_change(key, "change", old[key], value))
    found += [_change(key, "remove", value, None) for key, value in old.items() if key not in new]
    return found


def _change(key: str, op: str, before: Any, after: Any) -> Json:
    if _messages(before or []) and _messages(after or []) and (before or after):
        return {"key": key, "op": op, "items": _items(before or [], after or [])}
    if isinstance(before, list) and isinstance(after, list) and before and after[: len(before)] == before:
        new = enumerate(after[len(before) :], start=len(before))
        items = [
            {"id": str(at), "op": "add", "type": "", "before": None, "after": _text(each)} for at, each in new
        ]
        return {"key": key, "op": op, "items": items}
    return {"key": key, "op": op, "before": _text(before), "after": _text(after)}


def _messages(value: Any) -> bool:
    """Whether the value is a list of messages, each with an id."""
    return isinstance(value, list) and all(
        isinstance(each, Mapping) and isinstance(each.get("id"), str) and "content" in each for each in value
    )


def _items(before: list[Any], after: list[Any]) -> list[Json]:
    old = {each["id"]: each for each in before}
    new = {each["id"]: each for each in after}
    items: list[Json] = []
    for name, each in new.items():
        if name not in old:
            items.append(_item(name, "add", None, each))
        elif each != old[name]:
            items.append(_item(name, "change", old[name], each))
    return items + [_item(name, "remove", each, None) for name, each in old.items() if name not in new]


def _item(name: str, op: str, before: Any, after: Any) -> Json:
    kind = str((after or before).get("type", ""))
    return {"id": name, "op": op, "type": kind, "before": _said(before), "after": _said(after)}


def _said(message: Any) -> str | None:
    """A message in a line: its text, and the tools that it calls."""
    if message is None:
        return None
    content = message.get("content")
    text = content if isinstance(content, str) else _text(content) or ""
    calls = [f"→ {each.get('name')}({encode(each.get('args'))})" for each in message.get("tool_calls") or ()]
    return _cut("\n".join(part for part in (text, *calls) if part))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return _cut(value if isinstance(value, str) else encode(value))


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[:MOST]}… ({len(text) - MOST} characters more)"
