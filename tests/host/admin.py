from __future__ import annotations

from django.contrib.admin import AdminSite


class Backoffice(AdminSite):
    site_header = "The shop's back office"

    def __init__(self, name: str = "backoffice") -> None:
        super().__init__(name)
