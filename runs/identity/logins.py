"""How often somebody may fail to log in: guessing a password takes so long that it is no use.

Failures are counted in Django's cache, by username and address; with its default, by each process for itself.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest

#: Failures after which nobody is let in for a while, in seconds since the first of them.
FAILURES, WHILE = 10, 300
TOO_MANY = "Too many failed attempts. Try again in a few minutes."


class LimitedLoginForm(AdminAuthenticationForm):
    """The admin's login, which refuses without a look at the password once there were too many failures."""

    def clean(self) -> dict[str, Any]:
        key = _key(self.request, self.cleaned_data.get("username") or "")
        # Counted before the password is looked at: attempts at once are counted too.
        cache.add(key, 0, WHILE)
        try:
            count = cache.incr(key)
        except ValueError:
            # It expired just now.
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
