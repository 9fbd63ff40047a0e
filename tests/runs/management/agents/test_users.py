"""`agents users delete`, when it cannot finish."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from runs.exceptions import ThreadLocked
from runs.models import Erasure
from tests.support.commands import Agents
from tests.support.rows import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("error", [ThreadLocked(), KeyboardInterrupt()])
def test_a_deletion_that_is_cut_off_goes_on_in_the_background(
    agents: Agents, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def cut_off(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("runs.retention.users._threads", cut_off)
    user = make_user()
    found = agents("users", "delete", user.username, "--yes")
    assert found.code
    assert "The rest is deleted in the background" in found.err
    assert Erasure.objects.get().origin == "command"


def test_a_user_who_is_made_active_meanwhile_is_not_deleted(
    agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()

    def activated(*_: Any) -> Any:
        get_user_model().objects.filter(pk=user.pk).update(is_active=True)
        return iter(())

    monkeypatch.setattr("runs.retention.users._threads", activated)
    found = agents("users", "delete", user.username, "--yes")
    assert found.code == 1 and "was made active again" in found.err
    assert get_user_model().objects.filter(pk=user.pk).exists()
