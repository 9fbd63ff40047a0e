"""A bounded memory of whom the Auth file has authenticated (`auth.cache` of a langgraph.json). Pure."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

#: Headers that are part of each key, so that a client without the credentials does not get the answer of another one.
ALWAYS = ("authorization", "x-api-key", "cookie")
TTL, SIZE = 60.0, 1000


class AuthCache:
    """Users by the headers of their requests.

    Args:
        names: Further headers that the Auth file looks at.
        ttl: How long an answer is kept, in seconds.
    """

    def __init__(self, names: Sequence[str], *, ttl: float = TTL, size: int = SIZE) -> None:
        self._names = tuple(dict.fromkeys([*ALWAYS, *(name.lower() for name in names)]))
        self._ttl, self._size = ttl, size
        self._kept: OrderedDict[bytes, tuple[float, dict[str, Any]]] = OrderedDict()

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> AuthCache | None:
        """The cache that a langgraph.json describes, if it does."""
        if not given:
            return None
        ttl, size = given.get("ttl_seconds"), given.get("max_size")
        return cls(
            given.get("cache_keys") or (),
            ttl=TTL if ttl is None else ttl,
            size=SIZE if size is None else size,
        )

    def find(self, headers: Mapping[str, str]) -> dict[str, Any] | None:
        """The details of the user that sends these headers, if they are known."""
        key = self._key(headers)
        expires, details = self._kept.get(key, (0.0, None))
        if details is None or expires < time.monotonic():
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return dict(details)

    def keep(self, headers: Mapping[str, str], details: Mapping[str, Any]) -> None:
        if self._size <= 0:
            return
        self._kept[self._key(headers)] = (time.monotonic() + self._ttl, dict(details))
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def _key(self, headers: Mapping[str, str]) -> bytes:
        """A digest, because credentials must not stay in memory."""
        values = [headers.get(name) for name in self._names]
        return hashlib.sha256(repr(values).encode()).digest()
