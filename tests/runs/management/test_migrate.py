"""The options with which `migrate` connects."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from runs.management.commands.migrate import patient

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def shown(name: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("before", [None, "-c lock_timeout=5000 -c application_name=shop"])
def test_only_the_limits_are_changed_and_only_meanwhile(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    options = {
        name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "options"
    }
    monkeypatch.setitem(
        connection.settings_dict, "OPTIONS", options if before is None else {**options, "options": before}
    )
    with patient(connection):
        assert (shown("lock_timeout"), shown("idle_in_transaction_session_timeout")) == ("0", "0")
        assert before is None or shown("application_name") == "shop"
    assert connection.settings_dict["OPTIONS"].get("options") == before
    assert shown("lock_timeout") == ("0" if before is None else "5s")
    connection.close()
