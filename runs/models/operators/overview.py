"""The dashboard, as the admin lists it."""

from __future__ import annotations

from runs.models.run import Run


class Overview(Run):
    """What happens now, and what happened within the last day. It has no table and no permissions of its own."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "dashboard"
        verbose_name_plural = "dashboard"
