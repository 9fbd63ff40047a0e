"""People at the admin."""

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
    # WhiteNoise warns when nothing was collected yet.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    client = Client()
    client.force_login(make_user(is_staff=True, **fields))
    return client


def staff(*permissions: str) -> Client:
    """Somebody with these permissions alone."""
    client = sign_in()
    found = Permission.objects.filter(codename__in=permissions)
    assert len(found) == len(permissions)
    found_user = client.session["_auth_user_id"]
    for permission in found:
        permission.user_set.add(found_user)
    return client


def page(row: Any) -> str:
    """Where the admin shows a row."""
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])
