"""Which request headers a run gets in its `configurable`."""

from __future__ import annotations

import pytest
from django.test import override_settings

from runs.identity.header_patterns import configurable_headers, matches

HEADERS = {"x-tenant": "a", "x-api-key": "secret", "user-agent": "test", "cookie": "c", "x-tenant-id": "7"}


@pytest.mark.parametrize("includes, excludes, expected", [
    ([], [], []),
    (["x-*"], [], ["x-tenant"]),
    (["X-*", "user-agent"], [], ["x-tenant", "user-agent"]),
    (["*"], ["user-*"], ["x-tenant"]),
    (["x-tenant-id"], [], ["x-tenant-id"]),
    (["*", "cookie"], ["*"], []),
    (["x.*"], [], []),
])  # fmt: skip
def test_patterns(includes: list[str], excludes: list[str], expected: list[str]) -> None:
    with override_settings(RUNS={"CONFIGURABLE_HEADERS": {"includes": includes, "excludes": excludes}}):
        assert list(configurable_headers(HEADERS)) == expected


@pytest.mark.parametrize("name, pattern, expected", [
    ("", "*", True), ("a", "", False), ("", "", True), ("ab", "ab*", True), ("ab", "*ab*", True), ("ab", "a*b*", True),
    ("aba", "ab*ba", False), ("abba", "ab*ba", True), ("abcbd", "a*b*d", True), ("abc", "a*c*b", False),
    ("x.y", "x?y", False), ("a\nb", "a*b", True), ("aXbXc", "a**c", True),
])  # fmt: skip
def test_a_star_stands_for_any_text(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


def test_a_name_that_almost_matches_many_stars_is_refused_at_once() -> None:
    assert not matches("a" * 20_000, "*a" * 200 + "b")
