"""Any value in a form that both databases store. Pure."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from threads.db.values.text import encodable

#: The deepest nesting of a plain value, of which orjson accepts little more.
DEEPEST = 200


def plain(value: Any, convert: Callable[[Any], Any], depth: int = 0) -> Any:
    """A value in types that orjson accepts, for values that it has refused. Slow.

    Args:
        convert: Returns another value for an object. An object for which it fails becomes the name of its class.
    """
    if depth > DEEPEST:
        return _name(value)
    match value:
        case None | bool():
            return value
        case float():
            return float(value)
        case int():
            return int(value) if -(2**63) <= value < 2**64 else str(value)
        case str():
            return encodable(value)
        case Mapping():
            return {_key(key): plain(each, convert, depth + 1) for key, each in value.items()}
        case list() | tuple() | set() | frozenset() | deque():
            return [plain(each, convert, depth + 1) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: plain(getattr(value, each.name), convert, depth + 1)
            for each in dataclasses.fields(value)
        }
    try:
        return plain(convert(value), convert, depth + 1)
    except Exception:
        return _name(value)


def _key(key: Any) -> str:
    try:
        return encodable(str(key))
    except Exception:
        return _name(key)


def _name(value: Any) -> str:
    return class_name(type(value))


def class_name(kind: type) -> str:
    """The name of a class; `__name__` may be any object, if its metaclass says so."""
    name: str = type.__dict__["__name__"].__get__(kind)
    return name
