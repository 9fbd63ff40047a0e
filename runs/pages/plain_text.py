"""A thread as plain text, for a page without scripts. Pure: no queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from threads.texts.content import text_of
from threads.texts.questions import question_of

#: The names of message types, and of roles in OpenAI's form, on the page.
AUTHORS = {
    "human": "You", "user": "You", "HumanMessageChunk": "You", "ai": "Answer", "assistant": "Answer",
    "AIMessageChunk": "Answer", "tool": "Tool", "system": "System",
}  # fmt: skip
CALLS = frozenset({"tool_call", "tool_use", "invalid_tool_call", "server_tool_call"})
PICTURES = frozenset({"image", "image_url"})
FILES = frozenset({"file", "text-plain"})


def messages_of(values: Any) -> list[dict[str, str]]:
    """The messages of a state that have something to read, each as `author` and `text`."""
    listed = values.get("messages") if isinstance(values, Mapping) else None
    found = (
        [_message(each) for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    )
    return [each for each in found if each["text"]]


def questions_of(interrupts: Any) -> list[str]:
    """The questions of a thread's interrupts."""
    asked = interrupts.values() if isinstance(interrupts, Mapping) else ()
    return [clean(question_of(each.get("value"))) for found in asked for each in found]


def clean(text: str) -> str:
    """A JSON column of SQLite can hold a lone surrogate; a response cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


def _message(message: Mapping[str, Any]) -> dict[str, str]:
    kind = str(message.get("type") or message.get("role") or "")
    author = AUTHORS.get(kind, kind.capitalize() or "Message")
    if kind == "tool" and message.get("name"):
        author = f"Tool {message['name']}"
    content = message.get("content")
    parts = [text_of(content), *_beside(content), *_calls(message)]
    return {"author": clean(author), "text": clean("\n\n".join(filter(None, parts)))}


def _beside(content: Any) -> Iterator[str]:
    """What a content has beside text, by name."""
    for block in _mappings(content):
        if block.get("type") in PICTURES:
            yield "A picture"
        elif block.get("type") in FILES:
            yield f"A file: {_name_of(block)}"


def _name_of(block: Mapping[str, Any]) -> str:
    metadata, file = (_mapping(block.get(name)) for name in ("metadata", "file"))
    named = [block.get("filename"), metadata.get("filename"), file.get("filename"), metadata.get("name")]
    return str(next(filter(None, named), "without a name"))


def _calls(message: Mapping[str, Any]) -> Iterator[str]:
    """The tools that a message calls; many models name them in its content too."""
    blocks = [each for each in _mappings(message.get("content")) if each.get("type") in CALLS]
    known = {each.get("id") for each in blocks}
    listed = [*_mappings(message.get("tool_calls")), *_mappings(message.get("invalid_tool_calls"))]
    for call in [*blocks, *(each for each in listed if each.get("id") not in known)]:
        yield f"Called `{call.get('name') or 'a tool'}`"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
