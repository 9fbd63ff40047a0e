"""Threads in the admin, with what only this application knows of them: their users' data."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.admin.people import People
from threads.admin.threads import ThreadAdmin as PlainThreadAdmin
from threads.models import Thread


@admin.register(Thread)
class ThreadAdmin(PlainThreadAdmin):
    fieldsets = (
        (None, {"fields": (("state", "epoch"), "id", "graph", "owner", "error_json")}),
        *PlainThreadAdmin.fieldsets[1:],
    )

    def get_urls(self) -> list[Any]:
        return [*People(self).urls(self.admin_site.admin_view), *super().get_urls()]

    @admin.display(description="user")
    def owner(self, thread: Thread) -> SafeString:
        url = reverse("admin:threads_thread_person", args=[thread.user_id])
        return format_html('<a href="{}">{}</a>', url, thread.user)
