"""Arguments of commands that no database can store."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db

#: What Python makes of a byte that is not UTF-8, and what only code can pass.
TEXTS = ["\udcff", "a\0b"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("agents", "queues", "pause", "gpu", "--reason", "{}"),
        ("agents", "queues", "resume", "gpu", "--reason", "{}"),
        ("agents", "runs", "list", "--user", "{}"),
        ("agents", "runs", "cancel", "{}"),
        ("agents", "threads", "list", "--user", "{}"),
        ("agents", "threads", "delete", "{}"),
        ("agents", "users", "export", "{}"),
        ("create_api_key", "{}"),
        ("create_api_key", "ada", "--name", "{}"),
        ("list_api_keys", "{}"),
        ("revoke_api_key", "{}"),
    ],
)
def test_an_argument_that_is_no_text_is_refused(arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(CommandError, match="is no text"):
        call_command(*(each.format(text) for each in arguments))
