"""Request bodies: JSON that can be stored, whatever the content type says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest
from ninja.parser import Parser

from runs.exceptions import InvalidRequest

INVALID = "Invalid JSON in request body"
#: A NUL character as JSON has it, and what stands for two backslashes meanwhile: a byte that no JSON has.
NUL, PAIR, MARK = b"\\u0000", b"\\\\", b"\x01"
#: Values of a body, and objects and lists among them. (Parsing them takes 60 ms, measured on two shared cores.)
MOST, MOST_CONTAINERS = 500_000, 100_000
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

    NUL characters, which databases cannot store and which text from PDFs contains, become U+FFFD, as on the
    reference server.

    Raises InvalidRequest for what is no JSON (NaN and Infinity are none), is nested deeper than `depth`, has too many
    values, or holds surrogates without their other half, which databases cannot store either.
    """
    if _large(body):
        raise InvalidRequest(f"The request body has more than {MOST:,} values.")
    if NUL in body and MARK not in body:
        # Two backslashes are one character of the text, and what follows them is text too.
        body = body.replace(PAIR, MARK).replace(NUL, rb"\ufffd").replace(MARK, PAIR)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_explain(body, error)) from None
    # Counting brackets is cheap, and enough for nearly all bodies; those inside strings only cost the slow way.
    if body.count(b"[") + body.count(b"{") > depth and _deeper(data, depth):
        raise InvalidRequest(_too_deep(depth))
    return data


def _large(body: bytes) -> bool:
    """Whether a body has too many values, or containers, to be parsed without holding everything else up.

    Counted in the bytes, because parsing is what takes the time. In nearly all bodies the characters that separate
    values are few, those inside of strings included; only else are the strings left out.
    """
    if _separators(body) <= MOST and _containers(body) <= MOST_CONTAINERS:
        return False
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if unescaped.count(b'"') > 4 * MOST:
        return True
    bare = b"".join(unescaped.split(b'"')[::2])
    return _separators(bare) > MOST or _containers(bare) > MOST_CONTAINERS


def _separators(body: bytes) -> int:
    return body.count(b",")


def _containers(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


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
