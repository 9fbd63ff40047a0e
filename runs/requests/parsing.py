"""Request bodies as JSON that can be stored. The content type is ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest
from ninja.parser import Parser

from runs.exceptions import InvalidRequest

INVALID = "Invalid JSON in request body"
#: A NUL character in JSON, two backslashes, and their temporary replacement: a byte that never occurs in
#: JSON.
NUL, PAIR, MARK = b"\\u0000", b"\\\\", b"\x01"
#: Maximum values of a body, maximum objects and lists among them, and maximum names in objects. (Parsing takes
#: at most 50 ms then. Different names take the longest.)
MOST, MOST_CONTAINERS, MOST_NAMES = 300_000, 100_000, 150_000
TOO_LARGE = (
    f"The request body has more than {MOST:,} values, {MOST_NAMES:,} names in objects, "
    f"or {MOST_CONTAINERS:,} objects and lists."
)
#: The attribute of a request that holds its body if it was parsed before the view.
BODY = "parsed_body"


class JSONParser(Parser):
    """Ninja's parser of bodies, with limits.

    Args:
        depth: Returns the maximum nesting; called for each body.
    """

    def __init__(self, depth: Callable[[], int]) -> None:
        self._depth = depth

    def parse_body(self, request: HttpRequest) -> Any:
        # The body was parsed already if an Auth file's handler has seen it; the handler may have changed it.
        return getattr(request, BODY) if hasattr(request, BODY) else parse(request.body, depth=self._depth())


def parse(body: bytes, *, depth: int) -> Any:
    """Return the JSON of a body.

    NUL characters become U+FFFD, as on the reference server: databases cannot store them, and text
    from PDFs contains them.

    Raises InvalidRequest for invalid JSON (including NaN and Infinity), nesting deeper than
    `depth`, too many values, and lone surrogates, which databases cannot store either.
    """
    if _large(body):
        raise InvalidRequest(TOO_LARGE)
    if NUL in body and MARK not in body:
        # Two backslashes are an escaped backslash, so a `u0000` after them is plain text.
        body = body.replace(PAIR, MARK).replace(NUL, rb"\ufffd").replace(MARK, PAIR)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_explain(body, error)) from None
    # Counting brackets is cheap and settles nearly all bodies. Brackets inside strings only cause the slow
    # check.
    if body.count(b"[") + body.count(b"{") > depth and _deeper(data, depth):
        raise InvalidRequest(_too_deep(depth))
    return data


def _large(body: bytes) -> bool:
    """Whether a body has too many values or containers: parsing it would block the event loop.

    Counted in the bytes, because parsing is the slow part. Nearly all bodies have few separators,
    even with those inside strings. Strings are removed only if that first count is too high.
    """
    if not _exceeds(body):
        return False
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Removing more strings takes longer than parsing an allowed body.
    if unescaped.count(b'"') > 2 * MOST:
        return True
    bare = b"".join(unescaped.split(b'"')[::2])
    return _exceeds(bare)


def _exceeds(body: bytes) -> bool:
    return (
        body.count(b",") > MOST
        or body.count(b"[") + body.count(b"{") > MOST_CONTAINERS
        or body.count(b":") > MOST_NAMES
    )


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
    # No subclasses: the data come from the parser.
    level = [data] if type(data) is dict or type(data) is list else []
    for _ in range(depth):
        level = [
            each
            for container in level
            for each in (container.values() if type(container) is dict else container)
            if type(each) is dict or type(each) is list
        ]
        if not level:
            return False
    return True
