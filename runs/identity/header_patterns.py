"""The request headers that a run gets in its `configurable` (`CONFIGURABLE_HEADERS`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from runs.conf import settings

#: Headers with credentials. They are stored with each checkpoint, so a pattern must name them exactly.
SECRET = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "x-service-key", "x-tenant-id"}
)


def configurable_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that the site's patterns include.

    Args:
        headers: Names are in lower case.
    """
    given = settings.CONFIGURABLE_HEADERS
    includes, excludes = (
        tuple(each.lower() for each in given.get(name) or ()) for name in ("includes", "excludes")
    )
    if not includes:
        return {}
    return {name: value for name, value in headers.items() if _passes(name, includes, excludes)}


def _passes(name: str, includes: Sequence[str], excludes: Sequence[str]) -> bool:
    if any(_pattern(each).fullmatch(name) for each in excludes):
        return False
    return name in includes if name in SECRET else any(_pattern(each).fullmatch(name) for each in includes)


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern in which only `*` has a meaning."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
