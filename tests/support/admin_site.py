"""Users of the admin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.support.rows import make_user


def sign_in(**fields: Any) -> Client:
    """A browser in which a member of staff is signed in."""
    # WhiteNoise warns if static files were not collected.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    client = Client()
    client.force_login(make_user(is_staff=True, **fields))
    return client


def staff(*permissions: str) -> Client:
    """A member of staff with only these permissions."""
    client = sign_in()
    found = Permission.objects.filter(codename__in=permissions)
    assert len(found) == len(permissions)
    found_user = client.session["_auth_user_id"]
    for permission in found:
        permission.user_set.add(found_user)
    return client


def page(row: Any) -> str:
    """The address of a row's admin page."""
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])
