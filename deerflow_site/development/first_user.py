"""The user with which a person opens the admin of a new project."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.contrib.auth import get_user_model

USERNAME = "admin"


def first_user(folder: Path) -> tuple[str, str] | None:
    """The name and the password of the user that was created here at the first start.

    It is created if there is no superuser. None after its password was changed.

    Args:
        folder: Keeps the password, in a file that only its owner may read.
    """
    users = get_user_model()._default_manager
    file = folder / "admin.json"
    if not users.filter(is_superuser=True).exists():
        password = secrets.token_urlsafe(9)
        user = users.create_superuser(USERNAME, password=password)  # type: ignore[attr-defined]
        _write(file, {"username": USERNAME, "password": password, "stored": user.password})
    try:
        kept = json.loads(file.read_text())
        unchanged = users.filter(username=kept["username"], password=kept["stored"], is_active=True).exists()
        return (kept["username"], kept["password"]) if unchanged else None
    except (OSError, ValueError, KeyError):
        return None


def _write(file: Path, content: dict[str, str]) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as opened:
        json.dump(content, opened)
