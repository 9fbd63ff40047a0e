"""The text of a thread's values: its title and its messages. Pure: no queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

import orjson

from threads.db.fields import Encoded
from threads.texts.words import words_of

#: The most bytes of a thread's text; of a longer conversation the newest messages are kept.
LARGEST = 64 * 1024
LONGEST_TITLE = 500
#: Writers of messages that people read: LangChain's types, and roles of messages in OpenAI's form.
AUTHORS = frozenset({"human", "ai", "user", "assistant", "HumanMessageChunk", "AIMessageChunk"})


@dataclass(frozen=True, slots=True)
class Content:
    """What the values of a thread's state say."""

    #: The title that the graph gives, or "".
    title: str = ""
    text: str = ""
    words: frozenset[str] = frozenset()


def content_of(values: Any) -> Content:
    """The content of values in JSON's types, or encoded."""
    if isinstance(values, Encoded):
        # orjson does not accept subclasses of `str`.
        values = orjson.loads(str(values))
    if not isinstance(values, Mapping):
        return Content()
    text = _text_of_messages(values.get("messages"))
    return Content(_line(values.get("title")), text, frozenset(words_of(text)))


def title_of(content: Content, metadata: Mapping[str, Any]) -> str:
    """A thread's title: what a person named it, else the graph's title, else that of its metadata."""
    named = _line(metadata.get("title"))
    return named if named and metadata.get("renamed") else content.title or named


#: The most characters of what a thread is called.
SHORT = 70


def called(values: Any, metadata: Mapping[str, Any]) -> str:
    """What a page calls a thread: its title, or else how its first message begins.

    The chat page follows the same rule (`titleOf` in chat/titles.js).
    """
    values = values if isinstance(values, Mapping) else {}
    title = title_of(Content(_line(values.get("title"))), metadata)
    messages = values.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    begins = text_of(first.get("content")) if isinstance(first, Mapping) else ""
    return _short(title or begins) or "Untitled"


def _short(text: str) -> str:
    """A text in one line, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= SHORT:
        return line
    cut = line[: SHORT - 1]
    return f"{cut[: max(cut.rfind(' '), SHORT // 2)]}…"


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text blocks of a list."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    texts = [
        each if isinstance(each, str) else each.get("text") for each in blocks if isinstance(each, str | dict)
    ]
    return "\n\n".join(str(each) for each in texts if each)


def _text_of_messages(messages: Any) -> str:
    found: list[str] = []
    left = LARGEST
    for message in reversed(messages if isinstance(messages, list) else []):
        if not isinstance(message, Mapping) or (message.get("type") or message.get("role")) not in AUTHORS:
            continue
        if text := _stored(text_of(message.get("content")), left):
            found.append(text)
            left -= len(text.encode()) + 1
        if left <= 0:
            break
    return "\n".join(reversed(found))


def _stored(text: str, most: int) -> str:
    """The first `most` bytes of a text in a form that both databases store, for `words.fold`."""
    plain = normalize("NFC", text[:most].replace("\0", " "))
    return plain.encode(errors="replace")[:most].decode(errors="ignore").strip()


def _line(value: Any) -> str:
    return " ".join(_stored(value, LONGEST_TITLE).split()) if isinstance(value, str) else ""
