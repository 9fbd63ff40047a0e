"""The request headers that a run gets in its `configurable` (`CONFIGURABLE_HEADERS`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    if any(matches(name, each) for each in excludes):
        return False
    return name in includes if name in SECRET else any(matches(name, each) for each in includes)


def matches(name: str, pattern: str) -> bool:
    """Whether a name has the form of a pattern, in which only `*` has a meaning: any text.

    Takes the time of one search for each part: the first place of a part leaves the most for the next.
    """
    first, *others = pattern.split("*")
    if not others:
        return name == pattern
    *middle, last = others
    if not name.startswith(first):
        return False
    place = len(first)
    for part in middle:
        found = name.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(name) - len(last) >= place and name.endswith(last)
