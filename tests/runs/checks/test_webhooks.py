"""Wrong settings of webhooks are found before the server starts."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from runs.checks.webhooks import check_webhooks


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_SCHEMES", ["gopher"]),
        ("WEBHOOK_SCHEMES", []),
        ("WEBHOOK_NETWORKS", ["10.0.0.1/8"]),
        ("WEBHOOK_NETWORKS", ["everything"]),
        ("WEBHOOK_SECRETS", ["hunter2hunter2"]),
    ],
)
def test_what_is_wrong_is_named(name: str, value: Any) -> None:
    with override_settings(RUNS={name: value}):
        (error,) = check_webhooks(None)
    assert (error.id, name in str(error.msg)) == ("runs.E009", True)
    assert "hunter2" not in str(error.msg)


def test_what_is_right_is_in_order() -> None:
    right = {"WEBHOOK_NETWORKS": ["10.0.0.0/8", "fd00::/8"], "WEBHOOK_SECRETS": ["whsec_" + "A" * 32]}
    with override_settings(RUNS={**right, "WEBHOOK_SCHEMES": ["http", "https"]}):
        assert list(check_webhooks(None)) == []
