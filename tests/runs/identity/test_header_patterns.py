"""Which request headers a run gets in its `configurable`."""

from __future__ import annotations

import pytest
from django.test import override_settings

from runs.identity.header_patterns import configurable_headers

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
