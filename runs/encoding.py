"""JSON in the format of the reference server, for anything that a graph's state can hold.

Messages and other pydantic objects become their `model_dump`, exceptions {"error", "message"}, NaN
null, bytes base64; lone surrogates, which no encoder accepts, are replaced
(`langgraph_server_api.md` §3.3).
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import PurePath
from re import Pattern
from typing import Any

import orjson
from langchain_core import messages
from pydantic import BaseModel

from threads.db.values.plain import class_name, plain
from threads.disclosure import HIDDEN, is_shown, text_of
from threads.redaction import redacted_text

#: Message classes whose dump contains only their fields.
PLAIN_MESSAGES = frozenset(
    {
        messages.AIMessage,
        messages.AIMessageChunk,
        messages.HumanMessage,
        messages.HumanMessageChunk,
        messages.SystemMessage,
        messages.ToolMessage,
        messages.RemoveMessage,
    }
)
OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def encode(value: Any) -> str:
    """Return compact JSON. Never fails for a graph's values: in the worst case an object becomes
    its `str`.
    """
    try:
        return orjson.dumps(value, default=_default, option=OPTIONS).decode()
    except (TypeError, ValueError, RecursionError):
        return orjson.dumps(plain(value, _default), option=OPTIONS).decode()


def decode(text: str | bytes) -> Any:
    # orjson does not accept subclasses of `str`.
    return orjson.loads(text if type(text) is str or isinstance(text, bytes) else str(text))


def _default(value: Any) -> Any:
    if type(value) in PLAIN_MESSAGES:
        # The same as `model_dump()`, at a tenth of its cost: a message's fields are its attributes.
        return {**value.__dict__, **(value.__pydantic_extra__ or {})}
    match value:
        case BaseModel():
            return value.model_dump()
        case BaseException():
            message = redacted_text(text_of(value)) if is_shown(value) else HIDDEN
            return {"error": class_name(type(value)), "message": message}
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case Mapping():
            return dict(value)
        case set() | frozenset() | deque():
            return list(value)
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Pattern():
            return value.pattern
        case type():
            return class_name(value)
        case PurePath():
            return str(value)
    if hasattr(value, "to_json") and callable(value.to_json) and not isinstance(value, type):
        return value.to_json()
    if hasattr(value, "_asdict"):
        return value._asdict()
    return str(value)
