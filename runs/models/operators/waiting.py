"""Threads that wait for a person, as the admin lists them."""

from __future__ import annotations

from threads.models import Thread


class Waiting(Thread):
    """A thread whose last run stopped at a question. It has no table and no permissions of its own."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "waiting question"
        verbose_name_plural = "inbox"
