"""The host's admin."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class Backoffice(AdminConfig):
    default_site = "tests.host.admin.Backoffice"
