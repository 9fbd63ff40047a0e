"""Request bodies: JSON that can be stored, whatever the content type says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest
from ninja.parser import Parser

from runs.exceptions import InvalidRequest

INVALID = "Invalid JSON in request body"
#: The attribute of a request whose body was parsed before its view asks for it.
BODY = "parsed_body"


class JSONParser(Parser):
    """Ninja's parser of bodies, with limits.

    Args:
        depth: Returns the deepest nesting that is allowed; asked each time.
    """

    def __init__(self, depth: Callable[[], int]) -> None:
        self._depth = depth

    def parse_body(self, request: HttpRequest) -> Any:
        # An Auth file may have seen it before, and changed it.
        return getattr(request, BODY) if hasattr(request, BODY) else parse(request.body, depth=self._depth())


def parse(body: bytes, *, depth: int) -> Any:
    """Return the JSON of a body.

    Raises InvalidRequest for what is no JSON (NaN and Infinity are none), is nested deeper than `depth`, or holds
    what databases cannot store: NUL characters, and surrogates without their other half.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_explain(body, error)) from None
    if b"\\u0000" in body and _has_nul(data):
        raise InvalidRequest("The request body must not contain NUL characters (\\u0000).")
    # Counting brackets is cheap, and enough for nearly all bodies; those inside strings only cost the slow way.
    if body.count(b"[") + body.count(b"{") > depth and _deeper(data, depth):
        raise InvalidRequest(_too_deep(depth))
    return data


def _explain(body: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        body.decode()
    except UnicodeDecodeError:
        return f"{INVALID}: it is not UTF-8."
    if "surrogate" in error.msg:
        return f"{INVALID}: a string contains a surrogate without its other half."
    if "depth" in error.msg:
        return f"{INVALID}: it is nested too deeply."
    return INVALID


def _too_deep(depth: int) -> str:
    return f"{INVALID}: it is nested more than {depth} levels deep."


def _deeper(data: Any, depth: int) -> bool:
    """Whether containers are nested more than `depth` levels deep, without recursion."""
    level = [data]
    for _ in range(depth):
        level = [
            each
            for container in level
            if isinstance(container, dict | list)
            for each in (container.values() if isinstance(container, dict) else container)
            if isinstance(each, dict | list)
        ]
        if not level:
            return False
    return True


def _has_nul(data: Any) -> bool:
    waiting = [data]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if "\0" in each:
                return True
        elif isinstance(each, dict):
            waiting += each.keys()
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return False
