"""A limit of failed logins, so that guessing a password takes too long.

Failures are counted in Django's cache by username and address. With Django's default cache, each
process counts its own.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest

#: Maximum failures, and how long they count after the first one, in seconds.
FAILURES, WHILE = 10, 300
TOO_MANY = "Too many failed attempts. Try again in a few minutes."


class LimitedLoginForm(AdminAuthenticationForm):
    """The admin's login. After too many failures it refuses without checking the password."""

    def clean(self) -> dict[str, Any]:
        key = _key(self.request, self.cleaned_data.get("username") or "")
        # Counted before the password is checked, so that concurrent attempts count too.
        cache.add(key, 0, WHILE)
        try:
            count = cache.incr(key)
        except ValueError:
            # The counter has just expired.
            count = 1
        if count > FAILURES:
            raise ValidationError(TOO_MANY, code="too_many")
        cleaned = super().clean()
        cache.delete(key)
        return dict(cleaned or {})


def _key(request: HttpRequest | None, username: str) -> str:
    address = request.META.get("REMOTE_ADDR", "") if request is not None else ""
    digest = hashlib.sha256(f"{address} {username.lower()}".encode(errors="replace")).hexdigest()
    return f"login-failures-{digest}"
