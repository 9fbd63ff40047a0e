"""Events of a run as lines that a person reads. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from runs.encoding import decode
from runs.events.table import Event
from runs.protocols.agent.items import PACK
from threads.redaction import redacted

#: A step of a namespace: a node and its task's id.
PLACE = re.compile(r"(?<![^|:])([^|:]+):([0-9a-f-]{36})")
#: What is written for the beginning and the end of a task.
BEGAN, ENDED, FAILED = "▶", "■", "✗"


def unpacked(event: Event) -> Iterator[tuple[str, Any]]:
    """An event's name and data, without secrets; for a row of items, those of each."""
    data = redacted(decode(event.data))
    if event.name != PACK:
        yield event.name, data
        return
    for mode, namespace, _, item in data:
        yield "|".join((mode, *namespace)), item


def readable(events: Iterable[Event]) -> Iterator[tuple[str, str, str]]:
    """Events as (id, mode, text). The pieces of a message are one line, where the message began."""
    speaking: dict[str, list[str]] = {}
    for event in events:
        for name, data in unpacked(event):
            mode, _, namespace = name.partition("|")
            place = f"{PLACE.sub(_short, namespace)}: " if namespace else ""
            if mode == "messages" and (message := _message(data)) is not None:
                line = speaking.setdefault(str(message.get("id")), [event.id, mode, place])
                line.append(message_text(message))
                continue
            yield from _said(speaking)
            speaking.clear()
            yield event.id, mode, place + summary(mode, data)
    yield from _said(speaking)


def _said(speaking: dict[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    for event_id, mode, *pieces in speaking.values():
        if any(pieces[1:]):
            yield event_id, mode, "".join(pieces)


def _short(found: re.Match[str]) -> str:
    return f"{found[1]}:{found[2][:4]}"


def _message(data: Any) -> dict[str, Any] | None:
    """The message, or the piece of one, of an event."""
    found = data[0] if isinstance(data, list) and data else data
    return found if isinstance(found, dict) and "type" in found else None


def message_text(message: dict[str, Any]) -> str:
    """A message's text, and its calls of tools."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part.get("text", "") if isinstance(part, dict) else str(part) for part in content)
    calls = [
        f"→ {call['name']}({shown(call['args']) if call.get('args') else ''})"
        for call in message.get("tool_calls") or ()
        if call.get("name")
    ]
    return " ".join(filter(None, [content if calls else "", *calls])) if calls else content


def summary(mode: str, data: Any) -> str:
    """What an event says, without what is long."""
    if not isinstance(data, dict):
        return shown(data)
    match mode:
        case "tasks":
            if "input" in data:
                return f"{BEGAN} {data.get('name')}"
            return (
                f"{FAILED} {data.get('name')}: {data['error']}"
                if data.get("error")
                else f"{ENDED} {data.get('name')}"
            )
        case "checkpoints":
            step = data.get("step", (data.get("metadata") or {}).get("step"))
            return f"step {step}  {data.get('id') or ''}".rstrip()
        case "values":
            return ", ".join(_sized(key, value) for key, value in data.items())
    return shown(data)


def _sized(key: str, value: Any) -> str:
    return f"{key}[{len(value)}]" if isinstance(value, list) else key


def shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
