"""The memory of whom an Auth file has authenticated."""

from __future__ import annotations

import time

import pytest

from runs.identity.auth_file.cache import AuthCache

ADA = {"authorization": "Bearer a", "x-team": "1"}


def test_only_the_same_credentials_and_headers_find_a_user() -> None:
    cache = AuthCache(["X-Team"])
    cache.keep(ADA, {"identity": "ada"})
    assert cache.find(dict(ADA)) == {"identity": "ada"}
    assert cache.find({**ADA, "user-agent": "another"}) == {"identity": "ada"}
    for other in ({"authorization": "Bearer b"}, {"x-team": "2"}, {"x-api-key": "k"}, {"cookie": "c"}):
        assert cache.find({**ADA, **other}) is None
    assert cache.find({"x-team": "1"}) is None


def test_it_is_bounded_in_size_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = AuthCache.of({"ttl_seconds": 5, "max_size": 2})
    assert cache is not None
    for name in "abc":
        cache.keep({"authorization": name}, {"identity": name})
    assert [cache.find({"authorization": name}) is not None for name in "abc"] == [False, True, True]
    later = time.monotonic() + 6
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert cache.find({"authorization": "c"}) is None


def test_without_a_description_there_is_none() -> None:
    assert AuthCache.of(None) is None
    cache = AuthCache.of({"max_size": 0, "cache_keys": ["x"]})
    assert cache is not None
    cache.keep(ADA, {"identity": "ada"})
    assert cache.find(ADA) is None
